// Who is served next. Three lanes take weighted turns; within a lane users take turns, and within a user its endpoints.
// Work-conserving: a turn that nobody in a lane wants goes to the next lane at once.

/** Somebody who wants turns: an endpoint's actor. */
export type Candidate = { readonly user: string };

/** A ring of rings: each turn goes to the next user, and to the next of that user's candidates. */
class Ring<C extends Candidate> {
  readonly #users = new Map<string, Set<C>>();

  get isEmpty(): boolean {
    return this.#users.size === 0;
  }

  add(candidate: C): void {
    const candidates = this.#users.get(candidate.user);
    if (candidates === undefined) this.#users.set(candidate.user, new Set([candidate]));
    else candidates.add(candidate);
  }

  delete(candidate: C): void {
    const candidates = this.#users.get(candidate.user);
    if (candidates === undefined) return;
    candidates.delete(candidate);
    if (candidates.size === 0) this.#users.delete(candidate.user);
  }

  /** The next in turn, who goes to the back, as does its user. */
  next(): C | undefined {
    const [first] = this.#users;
    if (first === undefined) return undefined;
    const [user, candidates] = first;
    const [candidate] = candidates;
    if (candidate === undefined) return undefined;
    candidates.delete(candidate);
    candidates.add(candidate);
    this.#users.delete(user);
    this.#users.set(user, candidates);
    return candidate;
  }
}

export class FairQueue<Lane extends string, C extends Candidate> {
  readonly #lanes: { lane: Lane; weight: number; turnsLeft: number; ring: Ring<C> }[];

  constructor(weights: Readonly<Record<Lane, number>>) {
    const lanes = Object.entries(weights) as [Lane, number][];
    this.#lanes = lanes.map(([lane, weight]) => ({ lane, weight, turnsLeft: weight, ring: new Ring() }));
  }

  /** `candidate` wants turns in `lane`; asking twice is asking once. */
  add(lane: Lane, candidate: C): void {
    this.#ring(lane)?.add(candidate);
  }

  delete(lane: Lane, candidate: C): void {
    this.#ring(lane)?.delete(candidate);
  }

  /** Whose turn it is, and in which lane; undefined when nobody wants one. It stays in the queue. */
  next(): { lane: Lane; candidate: C } | undefined {
    const waiting = this.#lanes.filter(({ ring }) => !ring.isEmpty);
    if (waiting.length === 0) return undefined;
    let chosen = waiting.find(({ turnsLeft }) => turnsLeft > 0);
    if (chosen === undefined) {
      for (const lane of this.#lanes) lane.turnsLeft = lane.weight;
      chosen = waiting[0];
    }
    if (chosen === undefined) return undefined;
    chosen.turnsLeft -= 1;
    const candidate = chosen.ring.next();
    return candidate === undefined ? undefined : { lane: chosen.lane, candidate };
  }

  #ring(of: Lane): Ring<C> | undefined {
    return this.#lanes.find(({ lane }) => lane === of)?.ring;
  }
}
