// How a receiver treats its requests, written into the path of its URL: `/<kind>/<number>/<webhook>`, so that the
// receiver's process needs to be told nothing else.

import { unreachable } from "../../lib/unreachable.ts";

export type Behaviour =
  /** 200 after so long. */
  | { kind: "answer"; latencyMs: number }
  /** 500 with Retry-After to so many in a hundred, 200 to the rest. */
  | { kind: "error"; percent: number }
  /** 429 with Retry-After to so many in a hundred, 200 to the rest. */
  | { kind: "busy"; percent: number }
  /** Takes the request, and never answers. */
  | { kind: "hang" }
  /** Resets the connection when the request has come. */
  | { kind: "reset" }
  /** 200 whose body comes byte by byte, one each so long. */
  | { kind: "drip"; everyMs: number }
  /** Nobody listens. */
  | { kind: "refuse" };

export type Target = { behaviour: Behaviour; webhook: number };

/** Bytes of a dripping answer's body. */
export const DRIP_BYTES = 10;

/** An answer that takes this long is a fault: one request at a time then means a backlog, whoever delivers. */
const SLOW_MS = 1_000;

/** Whether everything that is accepted for it has to arrive in the end. */
export function isHealthy(behaviour: Behaviour): boolean {
  return behaviour.kind === "answer" && behaviour.latencyMs < SLOW_MS;
}

export function pathOf({ behaviour, webhook }: Target): string {
  return `/${behaviour.kind}/${numberOf(behaviour)}/${webhook}`;
}

/** Undefined for a path that is none of ours. */
export function targetOf(path: string): Target | undefined {
  const [, kind = "", numberText = "", webhookText = ""] = /^\/([a-z]+)\/(\d+)\/(\d+)$/.exec(path) ?? [];
  const behaviour = behaviourOf(kind, Number(numberText));
  return behaviour && { behaviour, webhook: Number(webhookText) };
}

export function describeBehaviour(behaviour: Behaviour): string {
  switch (behaviour.kind) {
    case "answer":
      return `200 after ${behaviour.latencyMs} ms`;
    case "error":
      return `500 to ${behaviour.percent} %`;
    case "busy":
      return `429 to ${behaviour.percent} %`;
    case "hang":
      return "never answers";
    case "reset":
      return "resets the connection";
    case "drip":
      return `a byte every ${behaviour.everyMs} ms`;
    case "refuse":
      return "refuses connections";
    default:
      return unreachable(behaviour);
  }
}

function numberOf(behaviour: Behaviour): number {
  switch (behaviour.kind) {
    case "answer":
      return behaviour.latencyMs;
    case "error":
    case "busy":
      return behaviour.percent;
    case "drip":
      return behaviour.everyMs;
    case "hang":
    case "reset":
    case "refuse":
      return 0;
    default:
      return unreachable(behaviour);
  }
}

function behaviourOf(kind: string, number: number): Behaviour | undefined {
  switch (kind) {
    case "answer":
      return { kind, latencyMs: number };
    case "error":
    case "busy":
      return { kind, percent: number };
    case "drip":
      return { kind, everyMs: number };
    case "hang":
    case "reset":
    case "refuse":
      return { kind };
    default:
      return undefined;
  }
}
