// Visits every state that can be reached, and looks for one that must not be: breadth first, so that the way to a
// violation is a shortest one.

import { seededRandom } from "../../src/lib/random.ts";
import { accepted, type Bounds, type Rules, type State } from "./state.ts";
import { stepsFrom } from "./steps.ts";

export type Violation = { what: string; way: string[] };
export type Exploration = { states: number; violation: Violation | undefined };

type Node = {
  state: State;
  by: { name: string; from: number } | undefined;
  isClean: boolean;
  /** Where the code gets by itself from here; repairs apart. */
  steps: number[];
  repairs: number[];
};

export function explore(rules: Rules, bounds: Bounds): Exploration {
  const nodes: Node[] = [];
  const known = new Map<string, number>();
  const visit = (state: State, by: Node["by"], isClean: boolean): number => {
    const key = `${isClean}${JSON.stringify(state)}`;
    let index = known.get(key);
    if (index === undefined) {
      index = nodes.length;
      known.set(key, index);
      nodes.push({ state, by, isClean, steps: [], repairs: [] });
    }
    return index;
  };
  const found = (what: string, at: number): Exploration => ({
    states: nodes.length,
    violation: { what, way: wayTo(nodes, at) },
  });

  visit(accepted(bounds), undefined, true);
  for (let index = 0; index < nodes.length; index += 1) {
    const node = nodes[index] as Node;
    const fault = faultOf(node.state);
    if (fault !== undefined) return found(fault, index);
    for (const { name, kind, to } of stepsFrom(node.state, rules)) {
      if (isUndone(node.state, to, name)) return found(UNDONE, index);
      const next = visit(to, { name, from: index }, node.isClean && kind !== "fault");
      if (kind === "step") node.steps.push(next);
      else if (kind === "repair") node.repairs.push(next);
    }
  }
  // Where nothing went wrong, nothing needs repair.
  const unaided = cannotComplete(nodes, ({ steps }) => steps);
  if (unaided !== undefined) return found("stuck until it is repaired, although nothing went wrong", unaided);
  const withRepairs = cannotComplete(nodes, ({ steps, repairs }) => [...steps, ...repairs]);
  if (withRepairs !== undefined) return found("stuck", withRepairs);
  return { states: nodes.length, violation: undefined };

  /** The first state from which completion cannot be reached; without repairs only clean histories are looked at. */
  function cannotComplete(all: Node[], nextOf: (node: Node) => number[]): number | undefined {
    const before: number[][] = all.map(() => []);
    all.forEach((node, index) => nextOf(node).forEach((next) => before[next]?.push(index)));
    const completes = new Uint8Array(all.length);
    const open = all.flatMap(({ state }, index) => (state.row.status === "pending" ? [] : [index]));
    for (const index of open) completes[index] = 1;
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      for (const earlier of before[at] ?? []) {
        if (completes[earlier] === 1) continue;
        completes[earlier] = 1;
        open.push(earlier);
      }
    }
    const isAided = nextOf({ steps: [], repairs: [0] } as never as Node).length > 0;
    const stuck = all.findIndex(({ isClean }, index) => completes[index] === 0 && (isAided || isClean));
    return stuck === -1 ? undefined : stuck;
  }
}

/** Histories too long to be explored: each seed is one, of `steps` steps. */
export function wander(rules: Rules, bounds: Bounds, seeds: number, steps: number): Exploration {
  for (let seed = 0; seed < seeds; seed += 1) {
    const random = seededRandom(seed);
    const way: string[] = [];
    let state = accepted(bounds);
    for (let taken = 0; taken < steps; taken += 1) {
      const next = stepsFrom(state, rules);
      const step = next[Math.floor(random() * next.length)];
      if (step === undefined) break;
      way.push(step.name);
      const what = isUndone(state, step.to, step.name) ? UNDONE : faultOf(step.to);
      state = step.to;
      if (what !== undefined) return { states: seed, violation: { what, way } };
    }
  }
  return { states: seeds * steps, violation: undefined };
}

const UNDONE = "completed, and pending again";

function isUndone(from: State, to: State, by: string): boolean {
  return from.row.status !== "pending" && to.row.status === "pending" && by !== "replayed";
}

/** What must never be true of a state. */
function faultOf({ row, owner, other, successes, allowed }: State): string | undefined {
  const inFlight = [...owner.held, ...other.held].filter(({ stage }) => stage === "flying").length;
  if (inFlight > 1) return "two requests at once";
  if (successes > allowed) return "sent once more than the guarantee allows";
  if (row.status === "delivered" && successes === 0) return "lost: delivered without a request";
  return undefined;
}

function wayTo(nodes: Node[], at: number): string[] {
  const way: string[] = [];
  for (let node = nodes[at]; node?.by !== undefined; node = nodes[node.by.from]) way.unshift(node.by.name);
  return way;
}
