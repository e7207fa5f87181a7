// Connections that receivers keep open between requests, so that a request costs no handshake. Kept within bounds: so
// many in all, and none for longer than its receiver can be trusted to.

import type { Clock } from "../lib/clock.ts";
import { Connection, type Place } from "./connection.ts";

/** In one process; a descriptor and some 10 KiB each. Beyond, the one that has been idle the longest makes room. */
const KEPT_MAX = 2_048;
/** Of a receiver that does not say how long it waits. Few wait for less, and losing one costs a new one. */
const KEPT_MS = 15_000;
const KEPT_MS_MAX = 60_000;
/** Less than what a receiver announces, for what is on its way when the time is up. */
const MARGIN_MS = 1_000;
const SWEEP_INTERVAL_MS = 1_000;

export class Connections {
  readonly #clock: Clock;
  readonly #keptMax: number;
  /** By place; the one that was used last is the next to be used. */
  readonly #byKey = new Map<string, Connection[]>();
  /** In the order in which they were kept. */
  readonly #all = new Set<Connection>();
  #sweptAt = 0;

  constructor(clock: Clock, keptMax = KEPT_MAX) {
    this.#clock = clock;
    this.#keptMax = keptMax;
  }

  get kept(): number {
    return this.#all.size;
  }

  /** One that is open and idle, if there is one. */
  take(place: Place): Connection | undefined {
    const connection = this.#byKey.get(place.key)?.at(-1);
    if (connection === undefined) return undefined;
    this.#forget(connection);
    connection.use();
    if (connection.usableUntil > this.#clock.monotonic()) return connection;
    connection.close();
    return this.take(place);
  }

  /** `keptAliveS`: for how long the receiver said that it waits for the next request. */
  keep(connection: Connection, keptAliveS: number | null): void {
    if (connection.isClosed) return;
    const keptMs = keptAliveS === null ? KEPT_MS : Math.min(keptAliveS * 1_000 - MARGIN_MS, KEPT_MS_MAX);
    if (keptMs <= 0) return connection.close();
    const now = this.#clock.monotonic();
    connection.usableUntil = now + keptMs;
    const same = this.#byKey.get(connection.key);
    if (same === undefined) this.#byKey.set(connection.key, [connection]);
    else same.push(connection);
    this.#all.add(connection);
    connection.keep(() => this.#forget(connection));
    if (this.#all.size > this.#keptMax) for (const oldest of this.#all) return oldest.close();
    this.#sweep(now);
  }

  /** Ends half of those that are kept, the longest idle first: the process has no descriptor left. */
  makeRoom(): void {
    const half = Math.ceil(this.#all.size / 2);
    for (const connection of [...this.#all].slice(0, half)) connection.close();
  }

  #forget(connection: Connection): void {
    this.#all.delete(connection);
    const same = this.#byKey.get(connection.key);
    if (same === undefined) return;
    if (same.length === 1) this.#byKey.delete(connection.key);
    else same.splice(same.lastIndexOf(connection), 1);
  }

  /** Without a timer of its own: where nothing is sent, receivers end what they wait on. */
  #sweep(now: number): void {
    if (now - this.#sweptAt < SWEEP_INTERVAL_MS) return;
    this.#sweptAt = now;
    for (const connection of this.#all) if (connection.usableUntil <= now) connection.close();
  }
}
