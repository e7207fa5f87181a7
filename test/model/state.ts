// The model of one delivery: everything that exists of it anywhere, as plain data. It is documentation that runs: the
// rules that the code keeps are switches here, and test/model/rules.test.ts shows what goes wrong without each of them.
//
// Time is coarse: a row is due or not, young (a message may be sent unchecked) or not; the stream remembers message ids
// until it forgets them. Whatever happens by itself may happen at any time, or late.

export type Rules = {
  /** Nats-Msg-Id holds the generation, so that what went back to the table can be published again. */
  generationInId: boolean;
  /** A note of a sequence counts only for a pending row of its generation that has none. */
  fencedNotes: boolean;
  /** A result counts only for a pending row of its generation. */
  fencedResults: boolean;
  /** Redelivered, refilled and old messages check their row before they are sent. */
  checkedMessages: boolean;
  /** Refill leaves alone what its worker holds. */
  refillSkipsHeld: boolean;
  /** Of two messages of one delivery a worker takes one in hand. */
  oneInHand: boolean;
  /** A request starts only if the lease outlives it. */
  deadlineRule: boolean;
  /** What a new epoch finds to be of an older one goes back to the table. */
  newEpoch: boolean;
  /** Rows whose message is gone are found, those that were noted too late for their epoch included. */
  reconciler: boolean;
};

export const ALL_RULES: Rules = {
  generationInId: true,
  fencedNotes: true,
  fencedResults: true,
  checkedMessages: true,
  refillSkipsHeld: true,
  oneInHand: true,
  deadlineRule: true,
  newEpoch: true,
  reconciler: true,
};

export type Row = {
  status: "pending" | "delivered" | "failed";
  generation: number;
  /** null: waiting in the table, or perhaps in the stream. */
  seq: number | null;
  isOfEpoch: boolean;
  due: boolean;
  /** Of the present schedule. */
  attempts: number;
};

export type StreamMessage = {
  seq: number;
  generation: number;
  /** Handed to a worker, and neither answered for nor given up. */
  isOut: boolean;
  /** Published by the API during this tenure and connection, and never handed out: while young, it is sent unchecked. */
  isFirst: boolean;
};

export type Note = { generation: number; seq: number; isOfEpoch: boolean };

export type Result = { place: "delivered" | "failed" | "stream" | "table" | "handed_back"; attempts: number };

/** A message in a worker's hands. */
export type Held = {
  seq: number;
  generation: number;
  isOfEpoch: boolean;
  attempts: number;
  stage: "checking" | "mailbox" | "flying" | "unrecorded" | "recorded";
  result: Result | null;
  /** Of a tenure that goes on: it may be answered for. */
  isCurrent: boolean;
};

export type Worker = {
  held: Held[];
  /** Has seen that the stream is another one, and has emptied its mailboxes. */
  hasNoticedEpoch: boolean;
  hasFollowedEpoch: boolean;
};

export type State = {
  row: Row;
  isYoung: boolean;
  stream: { lastSeq: number; messages: StreamMessage[]; ids: { id: number; seq: number }[] };
  /** The API's own publish, right after the commit; `late`: refill's turn has begun, so it ought not to come any more. */
  apiPublish: "in_time" | "late" | "done";
  /** Published, and not noted yet. */
  notes: Note[];
  /** Generation of the row that refill has read and is about to publish. */
  refilling: number | null;
  owner: Worker;
  /** Without a lease: it may have requests and results from when it had one. */
  other: Worker;
  /** Requests that the receiver answered with 200, and how many of them the guarantee allows. */
  successes: number;
  allowed: number;
} & Bounds;

/** What makes the model finite: how often each may happen still, and how many attempts a schedule has. */
export type Bounds = { faultsLeft: number; replaysLeft: number; returnsLeft: number; attemptsMax: number };

const newWorker = (): Worker => ({ held: [], hasNoticedEpoch: true, hasFollowedEpoch: true });

/** The same state in its simplest form: sequences count only by their order, and what can have no effect is left out. */
export function simplest(state: State, rules: Rules): State {
  const { row, stream, owner, other } = state;
  if (row.status !== "pending") state.row = { ...row, seq: null, due: true, attempts: 0 };
  const isPast = (generation: number) => generation < row.generation;
  if (rules.fencedNotes) state.notes = state.notes.filter(({ generation }) => !isPast(generation));
  if (rules.generationInId)
    stream.ids = stream.ids.filter(({ id }) => !isPast(id) || (id === 0 && state.apiPublish !== "done"));
  const held = [...owner.held, ...other.held];
  const numbered = [
    ...stream.messages,
    ...state.notes,
    ...held,
    ...stream.ids,
    ...(row.seq === null ? [] : [state.row]),
  ];
  const seqs = [...new Set(numbered.map(({ seq }) => seq ?? 0))].toSorted((a, b) => a - b);
  for (const one of numbered) if (one.seq !== null) one.seq = seqs.indexOf(one.seq) + 1;
  stream.lastSeq = seqs.length;
  const notes = new Map(state.notes.map((note) => [JSON.stringify(note), note]));
  state.notes = [...notes].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, note]) => note);
  return state;
}

/** Just committed, with the API about to publish. */
export function accepted(bounds: Bounds): State {
  return {
    row: { status: "pending", generation: 0, seq: null, isOfEpoch: true, due: false, attempts: 0 },
    isYoung: true,
    stream: { lastSeq: 0, messages: [], ids: [] },
    apiPublish: "in_time",
    notes: [],
    refilling: null,
    owner: newWorker(),
    other: newWorker(),
    successes: 0,
    allowed: 1,
    ...bounds,
  };
}
