// A receiver with faults on demand: every path behaves as the test says, and every request is remembered, with how many
// were under way at its path when it came.

import { sleep, systemClock } from "../../src/lib/clock.ts";

export type Received = {
  path: string;
  /** Monotonic milliseconds. */
  at: number;
  endedAt: number | undefined;
  /** Requests under way at this path, this one included. */
  atOnce: number;
  headers: Record<string, string>;
  body: string;
};

/** `count` is 1 for the first request at the path. */
export type Behaviour = (received: Received, count: number) => Response | Promise<Response>;

export type Receiver = {
  /** The URL of a path, which answers 200 unless told otherwise. */
  at(path: string, behaviour?: Behaviour): string;
  /** What came to a path, in order. */
  of(path: string): Received[];
  /** The event ids that came to a path, in order, repeated ones too. */
  eventIds(path: string): string[];
  /** The most requests that were under way at a path at the same time. */
  atOnceMax(path: string): number;
  stop(): Promise<void>;
};

export function startReceiver(): Receiver {
  const behaviours = new Map<string, Behaviour>();
  const received = new Map<string, Received[]>();
  const underWay = new Map<string, number>();
  const of = (path: string) => received.get(path) ?? [];

  async function answer(request: Request): Promise<Response> {
    const path = new URL(request.url).pathname;
    const atOnce = (underWay.get(path) ?? 0) + 1;
    underWay.set(path, atOnce);
    const one: Received = {
      path,
      at: systemClock.monotonic(),
      endedAt: undefined,
      atOnce,
      headers: Object.fromEntries(request.headers),
      body: "",
    };
    received.set(path, [...of(path), one]);
    const count = of(path).length;
    try {
      one.body = await request.text();
      return (await behaviours.get(path)?.(one, count)) ?? new Response();
    } finally {
      underWay.set(path, (underWay.get(path) ?? 1) - 1);
      one.endedAt = systemClock.monotonic();
    }
  }

  const server = Bun.serve({ port: 0, hostname: "127.0.0.1", idleTimeout: 60, fetch: answer });
  return {
    at(path, behaviour) {
      if (behaviour !== undefined) behaviours.set(path, behaviour);
      return `http://127.0.0.1:${server.port}${path}`;
    },
    of,
    eventIds: (path) => of(path).map(({ headers }) => headers["webhook-id"] ?? ""),
    atOnceMax: (path) => Math.max(0, ...of(path).map(({ atOnce }) => atOnce)),
    stop: () => server.stop(true),
  };
}

export const status = (code: number, headers: Record<string, string> = {}) =>
  new Response(null, { status: code, headers });

/** Answers 200 after `ms`. */
export function slow(ms: number): Behaviour {
  return async () => {
    await sleep(systemClock, ms);
    return new Response();
  };
}
