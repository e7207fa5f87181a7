// Who is served next. Three lanes take weighted turns; within a lane users take turns by deficit round robin, paying for
// the slot time that they used; within a user its endpoints take turns. Work-conserving: a turn that nobody in a lane
// wants goes to the next lane at once, and a debt matters only while somebody else waits.

/** What each user may use in a round before it rests, milliseconds of slots. */
const QUANTUM_MS = 50;

type Share<C> = {
  readonly user: string;
  readonly candidates: Set<C>;
};

/** The users of one lane. Those in credit are served in turn; those in debt rest until a round pays it off. */
class Ring<C> {
  readonly #ready = new Map<string, Share<C>>();
  readonly #resting = new Map<string, Share<C>>();
  /** Milliseconds; a user without an entry is in credit. */
  readonly #debts = new Map<string, number>();

  get isEmpty(): boolean {
    return this.#ready.size === 0 && this.#resting.size === 0;
  }

  add(user: string, candidate: C): void {
    const share = this.#ready.get(user) ?? this.#resting.get(user);
    if (share !== undefined) share.candidates.add(candidate);
    else this.#place({ user, candidates: new Set([candidate]) });
  }

  delete(user: string, candidate: C): void {
    if (this.isEmpty) return;
    const share = this.#ready.get(user) ?? this.#resting.get(user);
    if (share === undefined || !share.candidates.delete(candidate) || share.candidates.size > 0) return;
    this.#ready.delete(user);
    this.#resting.delete(user);
    if (this.isEmpty) this.#debts.clear();
  }

  /** The next in turn, who goes to the back, as does its user. */
  next(): C | undefined {
    if (this.#ready.size === 0) this.#beginRound();
    const [first] = this.#ready.values();
    const [candidate] = first?.candidates ?? [];
    if (first === undefined || candidate === undefined) return undefined;
    first.candidates.delete(candidate);
    first.candidates.add(candidate);
    this.#ready.delete(first.user);
    this.#ready.set(first.user, first);
    return candidate;
  }

  charge(user: string, costMs: number): void {
    const debt = (this.#debts.get(user) ?? -QUANTUM_MS) + costMs;
    this.#debts.set(user, debt);
    const share = this.#ready.get(user);
    if (share === undefined || debt <= 0) return;
    this.#ready.delete(user);
    this.#resting.set(user, share);
  }

  #place(share: Share<C>): void {
    const isInDebt = (this.#debts.get(share.user) ?? 0) > 0;
    (isInDebt ? this.#resting : this.#ready).set(share.user, share);
  }

  /** Everybody rests: as many rounds pass at once as it takes to bring somebody back into credit. */
  #beginRound(): void {
    const resting = [...this.#resting.values()];
    const least = Math.min(...resting.map(({ user }) => this.#debts.get(user) ?? 0));
    const paidMs = (Math.floor(Math.max(0, least) / QUANTUM_MS) + 1) * QUANTUM_MS;
    for (const [user, debt] of this.#debts) {
      if (debt > paidMs - QUANTUM_MS) this.#debts.set(user, debt - paidMs);
      else this.#debts.delete(user);
    }
    this.#resting.clear();
    for (const share of resting) this.#place(share);
  }
}

type LaneTurns<Lane, C> = { lane: Lane; weight: number; turnsLeft: number; ring: Ring<C> };

/** `C`: somebody who wants turns, an endpoint's actor. */
export class FairQueue<Lane extends string, C> {
  readonly #userOf: (candidate: C) => string;
  /** In the order of the weights as they were given. */
  readonly #lanes: LaneTurns<Lane, C>[];
  readonly #byName: Readonly<Record<Lane, LaneTurns<Lane, C>>>;

  constructor(weights: Readonly<Record<Lane, number>>, userOf: (candidate: C) => string) {
    this.#userOf = userOf;
    const lanes = Object.entries(weights) as [Lane, number][];
    this.#lanes = lanes.map(([lane, weight]) => ({ lane, weight, turnsLeft: weight, ring: new Ring() }));
    this.#byName = Object.fromEntries(this.#lanes.map((turns) => [turns.lane, turns])) as Record<
      Lane,
      LaneTurns<Lane, C>
    >;
  }

  /** `candidate` wants turns in `lane`; asking twice is asking once. */
  add(lane: Lane, candidate: C): void {
    this.#byName[lane].ring.add(this.#userOf(candidate), candidate);
  }

  delete(lane: Lane, candidate: C): void {
    this.#byName[lane].ring.delete(this.#userOf(candidate), candidate);
  }

  /** Whose turn it is, and in which lane; undefined when nobody wants one. It stays in the queue. */
  next(): { lane: Lane; candidate: C } | undefined {
    let firstWaiting: LaneTurns<Lane, C> | undefined;
    let chosen: LaneTurns<Lane, C> | undefined;
    for (const turns of this.#lanes) {
      if (turns.ring.isEmpty) continue;
      firstWaiting ??= turns;
      if (turns.turnsLeft === 0) continue;
      chosen = turns;
      break;
    }
    if (chosen === undefined) {
      if (firstWaiting === undefined) return undefined;
      for (const turns of this.#lanes) turns.turnsLeft = turns.weight;
      chosen = firstWaiting;
    }
    chosen.turnsLeft -= 1;
    const candidate = chosen.ring.next();
    return candidate === undefined ? undefined : { lane: chosen.lane, candidate };
  }

  /** `user` has used `costMs` of a slot, on a turn in `lane`. */
  charge(lane: Lane, user: string, costMs: number): void {
    this.#byName[lane].ring.charge(user, costMs);
  }
}
