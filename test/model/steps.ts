// Everything that can happen next. `step`: what the code does by itself, time included. `repair`: what only ever happens
// after something went wrong, or much later. `fault`: a crash, a lost lease, a lost message, a deleted stream.

import { type Held, simplest, type Result, type Rules, type State, type StreamMessage, type Worker } from "./state.ts";

export type Kind = "step" | "repair" | "fault";
export type Step = { name: string; kind: Kind; to: State };

const MESSAGES_MAX = 2;
/** With the rules kept, the bounds do not lead so far. */
const REPAIRED_GENERATION_MAX = 4;

const ROLES = ["owner", "other"] as const;
type Role = (typeof ROLES)[number];
type Change = (draft: State) => void;

export function stepsFrom(state: State, rules: Rules): Step[] {
  const steps: Step[] = [];
  const may = (kind: Kind, name: string, change: Change) => {
    const to = copyOf(state);
    change(to);
    if (kind === "fault") to.faultsLeft -= 1;
    steps.push({ name, kind, to: simplest(to, rules) });
  };
  timePasses(state, may);
  apiActs(state, rules, may);
  notesArrive(state, rules, may);
  ownerRefills(state, rules, may);
  ownerKeepsTable(state, rules, may);
  streamDelivers(state, rules, may);
  for (const role of ROLES) workerActs(state, rules, role, may);
  if (state.faultsLeft > 0) somethingBreaks(state, rules, may);
  return steps;
}

type May = (kind: Kind, name: string, change: Change) => void;

function timePasses({ row, isYoung, stream }: State, may: May): void {
  if (row.status === "pending" && !row.due) {
    may("step", "falls due", (s) => {
      s.row.due = true;
      if (s.apiPublish === "in_time") s.apiPublish = "late";
    });
  }
  if (isYoung) may("step", "grows old", (s) => void (s.isYoung = false));
  // The duplicate window is longer than a message counts as young.
  if (!isYoung && stream.ids.length > 0) may("repair", "ids forgotten", (s) => void (s.stream.ids = []));
}

function apiActs({ apiPublish, row, replaysLeft, faultsLeft }: State, rules: Rules, may: May): void {
  const publishes = (s: State) => {
    s.apiPublish = "done";
    publish(s, rules, 0, true);
  };
  if (apiPublish === "in_time") may("step", "api publishes", publishes);
  // It was frozen on the way.
  if (apiPublish === "late" && faultsLeft > 0) may("fault", "api publishes late", publishes);
  if (apiPublish !== "done") may("step", "api's publish fails", (s) => void (s.apiPublish = "done"));
  if (row.status !== "pending" && replaysLeft > 0) {
    may("step", "replayed", (s) => {
      s.replaysLeft -= 1;
      s.allowed += 1;
      s.row = { ...s.row, status: "pending", generation: s.row.generation + 1, seq: null, due: true, attempts: 0 };
    });
  }
}

/** Stores a message, or is told that the stream had it already; either way a note is on its way. */
function publish(s: State, rules: Rules, generation: number, isFirst: boolean): void {
  const { stream } = s;
  const id = rules.generationInId ? generation : 0;
  let known = stream.ids.find((one) => one.id === id);
  if (known === undefined) {
    stream.lastSeq += 1;
    stream.messages.push({ seq: stream.lastSeq, generation, isOut: false, isFirst });
    stream.ids.push((known = { id, seq: stream.lastSeq }));
  }
  s.notes.push({ generation, seq: known.seq, isOfEpoch: true });
}

function notesArrive({ notes }: State, rules: Rules, may: May): void {
  notes.forEach((note, index) => {
    may("step", `note of generation ${note.generation}`, (s) => {
      s.notes.splice(index, 1);
      const fits = s.row.status === "pending" && s.row.seq === null && s.row.generation === note.generation;
      if (fits || !rules.fencedNotes) s.row = { ...s.row, seq: note.seq, isOfEpoch: note.isOfEpoch };
    });
    may("step", "note is lost", (s) => void s.notes.splice(index, 1));
  });
}

function ownerRefills({ row, owner, refilling, notes, stream }: State, rules: Rules, may: May): void {
  const isHeld = owner.held.length > 0;
  if (refilling !== null) {
    may("step", "refill publishes", (s) => {
      s.refilling = null;
      if (!(isHeld && rules.refillSkipsHeld)) publish(s, rules, refilling, false);
    });
    return;
  }
  if (notes.length > 1 || stream.messages.length >= MESSAGES_MAX || !owner.hasNoticedEpoch) return;
  if (row.status !== "pending" || row.seq !== null || !row.due || (isHeld && rules.refillSkipsHeld)) return;
  may("step", "refill reads the row", (s) => void (s.refilling = s.row.generation));
}

/** A new epoch, and the reconciler. */
function ownerKeepsTable({ row, owner, stream, isYoung }: State, rules: Rules, may: May): void {
  if (!owner.hasNoticedEpoch) {
    may("step", "owner notices the new stream", (s) => {
      endTenure(s.owner, s);
      s.owner.hasNoticedEpoch = true;
    });
    return;
  }
  if (!owner.hasFollowedEpoch) {
    may("step", "owner returns rows of older epochs", (s) => {
      s.owner.hasFollowedEpoch = true;
      if (!rules.newEpoch || s.row.status !== "pending" || s.row.seq === null || s.row.isOfEpoch) return;
      // What is held is in flight, or was published after all: its result counts, and the reconciler does the rest.
      if (s.owner.held.length > 0) return;
      returnToTable(s);
    });
  }
  const isOverdue = row.status === "pending" && row.seq !== null && row.due && !isYoung;
  const isThere = row.isOfEpoch && stream.messages.some(({ seq }) => seq === row.seq);
  if (
    rules.reconciler &&
    isOverdue &&
    !isThere &&
    owner.held.length === 0 &&
    row.generation < REPAIRED_GENERATION_MAX
  ) {
    may("repair", "reconciler returns the row", returnToTable);
  }
}

function returnToTable(s: State): void {
  s.row = { ...s.row, seq: null, generation: s.row.generation + 1 };
}

function streamDelivers({ stream, owner }: State, rules: Rules, may: May): void {
  for (const message of stream.messages) {
    if (!message.isOut && owner.hasNoticedEpoch) {
      may("step", `pulls ${message.seq}`, (s) => receive(s, rules, message.seq));
    }
    // Nobody says that it is being worked on.
    const isWorkedOn = owner.held.some((held) => held.seq === message.seq && held.isCurrent);
    if (message.isOut && !isWorkedOn) {
      may("step", `ack wait of ${message.seq} passes`, (s) => giveBack(s, message.seq));
    }
  }
}

function receive(s: State, rules: Rules, seq: number): void {
  const message = messageAt(s, seq);
  const worker = s.owner;
  if (message === undefined) return;
  message.isOut = true;
  if (worker.held.some((held) => held.seq === seq)) return;
  const other = worker.held[0];
  if (other !== undefined && rules.oneInHand) {
    if (other.generation === message.generation) remove(s, seq);
    else giveBack(s, seq);
    return;
  }
  const isSurelyPresent = message.isFirst && s.isYoung;
  worker.held.push({
    seq,
    generation: message.generation,
    isOfEpoch: true,
    attempts: 0,
    stage: isSurelyPresent || !rules.checkedMessages ? "mailbox" : "checking",
    result: null,
    isCurrent: true,
  });
}

function workerActs(state: State, rules: Rules, role: Role, may: May): void {
  state[role].held.forEach((held, position) => {
    const on = (name: string, change: (s: State, own: Held, worker: Worker) => void, kind: Kind = "step") =>
      may(kind, name, (s) => {
        const worker = s[role];
        const own = worker.held[position];
        if (own !== undefined) change(s, own, worker);
      });
    switch (held.stage) {
      case "checking":
        on("checks the row", check);
        break;
      case "mailbox":
        on("request starts", (_, own) => void (own.stage = "flying"));
        if (state.returnsLeft > 0) on("hands back", (s, own) => returnLater(s, own, "handed_back"));
        break;
      case "flying":
        requestEnds(state, held, on);
        break;
      case "unrecorded":
        on("records", (s, own) => record(s, rules, own));
        break;
      case "recorded":
        on("answers the stream", (s, own, worker) => {
          if (own.isCurrent) answer(s, own);
          worker.held.splice(position, 1);
        });
        if (state.faultsLeft > 0)
          on("answer is lost", (_, __, worker) => void worker.held.splice(position, 1), "fault");
        break;
    }
  });
}

function check(s: State, own: Held, worker: Worker): void {
  const { row } = s;
  const drop = () => worker.held.splice(worker.held.indexOf(own), 1);
  if (row.status !== "pending" || row.generation !== own.generation) {
    if (own.isCurrent) remove(s, own.seq);
    drop();
  } else if (!row.due && row.attempts > 0) {
    if (own.isCurrent) giveBack(s, own.seq);
    drop();
  } else {
    own.attempts = row.attempts;
    own.stage = "mailbox";
  }
}

type On = (name: string, change: (s: State, own: Held, worker: Worker) => void) => void;

function requestEnds({ returnsLeft, attemptsMax }: State, held: Held, on: On): void {
  const isLast = held.attempts + 1 >= attemptsMax;
  on("receiver answers 200", (s, own) => {
    s.successes += 1;
    conclude(own, "delivered");
  });
  if (isLast) on("fails for the last time", (_, own) => conclude(own, "failed"));
  else {
    on("fails, retry soon", (_, own) => conclude(own, "stream"));
    if (returnsLeft > 0) on("fails, retry later", (s, own) => returnLater(s, own, "table"));
  }
}

function returnLater(s: State, own: Held, place: "handed_back" | "table"): void {
  s.returnsLeft -= 1;
  conclude(own, place);
}

function conclude(own: Held, place: Result["place"]): void {
  own.stage = "unrecorded";
  own.result = { place, attempts: place === "handed_back" ? own.attempts : own.attempts + 1 };
}

function record(s: State, rules: Rules, own: Held): void {
  own.stage = "recorded";
  const { row } = s;
  const { result } = own;
  if (result === null) return;
  if (rules.fencedResults && (row.status !== "pending" || row.generation !== own.generation)) return;
  const attempts = Math.max(row.attempts, result.attempts);
  switch (result.place) {
    case "delivered":
    case "failed":
      s.row = { ...row, status: result.place, seq: null, attempts };
      break;
    case "stream":
      s.row = { ...row, status: "pending", seq: own.seq, isOfEpoch: own.isOfEpoch, due: false, attempts };
      break;
    case "table":
    case "handed_back":
      s.row = { ...row, status: "pending", seq: null, generation: row.generation + 1, attempts };
      if (result.place === "table") s.row.due = false;
      break;
  }
}

function answer(s: State, own: Held): void {
  if (own.result?.place === "stream") giveBack(s, own.seq);
  else remove(s, own.seq);
}

function somethingBreaks(state: State, rules: Rules, may: May): void {
  const { owner, stream } = state;
  const isFlying = owner.held.some(({ stage }) => stage === "flying");
  for (const role of ROLES) {
    if (state[role].held.length === 0) continue;
    may("fault", `${role} crashes`, (s) => crash(s, role, false));
    if (state[role].held.some(({ stage }) => stage === "flying")) {
      may("fault", `${role} crashes, the receiver has it`, (s) => crash(s, role, true));
    }
  }
  if (state.refilling !== null) may("fault", "refill crashes", (s) => void (s.refilling = null));
  if (!(isFlying && rules.deadlineRule)) {
    may("fault", "lease is lost", (s) => {
      if (rules.deadlineRule) {
        s.allowed += unflushed(s.owner.held);
        endTenure(s.owner, s);
      }
      s.refilling = null;
      [s.owner, s.other] = [s.other, s.owner];
      newTenure(s);
    });
  }
  if (stream.messages.length > 0) {
    may("fault", "broker is killed", (s) => {
      // It may have forgotten that it handed them out, but the connection is another one.
      for (const message of s.stream.messages) Object.assign(message, { isOut: false, isFirst: false });
    });
    may("fault", "a message is lost", (s) => void s.stream.messages.pop());
    may("fault", "stream is deleted", (s) => {
      s.stream = { lastSeq: 0, messages: [], ids: [] };
      s.row.isOfEpoch = false;
      s.notes = s.notes.map((note) => ({ ...note, isOfEpoch: false }));
      for (const worker of [s.owner, s.other]) {
        Object.assign(worker, { hasNoticedEpoch: false, hasFollowedEpoch: false });
        for (const held of worker.held) held.isOfEpoch = false;
      }
    });
  }
}

/** What was in flight or not recorded may be sent once more: that is the guarantee. */
function crash(s: State, role: Role, receiverHasIt: boolean): void {
  const worker = s[role];
  if (receiverHasIt) s.successes += 1;
  s.allowed += (receiverHasIt ? 1 : 0) + worker.held.filter(isUnrecordedSuccess).length;
  worker.held = [];
  worker.hasFollowedEpoch = false;
  newTenure(s);
  if (role === "owner") s.refilling = null;
}

function endTenure(worker: Worker, s: State): void {
  worker.held = worker.held.filter(({ stage }) => stage !== "mailbox" && stage !== "checking");
  for (const held of worker.held) held.isCurrent = false;
  newTenure(s);
}

/** What the stream holds now was published before. */
function newTenure(s: State): void {
  for (const message of s.stream.messages) message.isFirst = false;
}

const isUnrecordedSuccess = ({ stage, result }: Held) => stage === "unrecorded" && result?.place === "delivered";

/** A result that is recorded after somebody else took the delivery over may set its success aside, or be set aside. */
const unflushed = (held: Held[]) => held.filter(({ stage }) => stage === "flying" || stage === "unrecorded").length;

function messageAt(s: State, seq: number): StreamMessage | undefined {
  return s.stream.messages.find((message) => message.seq === seq);
}

function remove(s: State, seq: number): void {
  s.stream.messages = s.stream.messages.filter((message) => message.seq !== seq);
}

/** A nak, or nothing heard for the ack wait. */
function giveBack(s: State, seq: number): void {
  const message = messageAt(s, seq);
  if (message !== undefined) Object.assign(message, { isOut: false, isFirst: false });
}

function copyOf(state: State): State {
  const worker = ({ held, ...rest }: Worker): Worker => ({ ...rest, held: held.map((one) => ({ ...one })) });
  return {
    ...state,
    row: { ...state.row },
    stream: {
      ...state.stream,
      messages: state.stream.messages.map((one) => ({ ...one })),
      ids: state.stream.ids.map((one) => ({ ...one })),
    },
    notes: state.notes.map((one) => ({ ...one })),
    owner: worker(state.owner),
    other: worker(state.other),
  };
}
