// One process' connection to NATS. It is never waited for: whoever needs it asks for it, and copes with its absence.

import { connect, type NatsConnection } from "@nats-io/transport-node";
import type { Clock } from "../lib/clock.ts";
import type { Service } from "../lib/service.ts";
import { sleep } from "../lib/clock.ts";
import { Reminder } from "../lib/reminder.ts";

export type ConnectionEvents = {
  /** After the first connection and after every later one. */
  connected(server: string): void;
  disconnected(server: string): void;
  /** No server can be reached, said about every ten seconds for as long as it lasts. `servers` holds no credentials. */
  unreachable?(servers: string, error: unknown): void;
};

export type NatsLinkOptions = {
  /** `nats://host:port`, several separated by commas. */
  url: string;
  /** Shown by `nats server report connections`. */
  name: string;
  clock: Clock;
};

/** A server that lives answers a ping within milliseconds. */
const ANSWER_TIMEOUT_MS = 1_000;
const UNREACHABLE_REMINDER_MS = 10_000;
const RECONNECTING = new Error("reconnecting since the connection broke");

export class NatsLink implements Service {
  readonly name = "nats";
  readonly #options: NatsLinkOptions;
  readonly #listeners: ConnectionEvents[] = [];
  readonly #reminder: Reminder;
  #connection: NatsConnection | undefined;
  #isConnected = false;
  #connectionNumber = 0;
  #stopped = false;

  constructor(options: NatsLinkOptions) {
    this.#options = options;
    this.#reminder = new Reminder(options.clock, UNREACHABLE_REMINDER_MS);
  }

  /** The live connection; undefined while there is none. */
  get connection(): NatsConnection | undefined {
    return this.#isConnected ? this.#connection : undefined;
  }

  /** Raised by every (re)connection: what was true of an older one need not be true of this one. */
  get connectionNumber(): number {
    return this.#connectionNumber;
  }

  /** Whether the server answers now: one that is frozen stays connected for 10 s and more. */
  async answers(): Promise<boolean> {
    const { connection } = this;
    if (connection === undefined) return false;
    const answer = connection.flush().then(
      () => true,
      () => false,
    );
    return Promise.race([answer, sleep(this.#options.clock, ANSWER_TIMEOUT_MS).then(() => false)]);
  }

  listen(listener: ConnectionEvents): void {
    this.#listeners.push(listener);
    if (this.#isConnected) listener.connected(this.#connection?.getServer() ?? "");
  }

  /** Returns at once; the connection is made in the background, and made again whenever it breaks. */
  start(): Promise<void> {
    this.#keepConnected().catch(() => {});
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    const connection = this.#connection;
    this.#isConnected = false;
    if (connection === undefined || connection.isClosed()) return;
    // Acks are fire and forget: a flush is the only way to know that they left.
    await Promise.race([connection.flush(), sleep(this.#options.clock, 1_000)]).catch(() => {});
    await connection.close().catch(() => {});
  }

  async #keepConnected(): Promise<void> {
    while (!this.#stopped) {
      try {
        this.#connection = await connect({
          servers: this.#options.url.split(","),
          name: this.#options.name,
          maxReconnectAttempts: -1,
          reconnectTimeWait: 200,
          reconnectJitter: 100,
          timeout: 5_000,
          // A peer that is gone without a word is noticed within 15 s.
          pingInterval: 5_000,
          maxPingOut: 2,
          noAsyncTraces: true,
        });
      } catch (error) {
        this.#unreachable(error);
        await sleep(this.#options.clock, 250);
        continue;
      }
      if (this.#stopped) {
        await this.#connection.close();
        return;
      }
      const closed = this.#connection.closed();
      this.#up();
      await this.#follow(this.#connection);
      await closed;
      this.#down();
    }
  }

  async #follow(connection: NatsConnection): Promise<void> {
    for await (const status of connection.status()) {
      if (status.type === "disconnect") this.#down();
      else if (status.type === "reconnect") this.#up();
      else if (status.type === "reconnecting") this.#unreachable(RECONNECTING);
      else if (status.type === "staleConnection") destroySocket(connection);
    }
  }

  #up(): void {
    if (this.#stopped || this.#isConnected) return;
    this.#isConnected = true;
    this.#reminder.forget();
    this.#connectionNumber += 1;
    const server = this.#connection?.getServer() ?? "";
    for (const listener of this.#listeners) listener.connected(server);
  }

  #down(): void {
    if (!this.#isConnected) return;
    this.#isConnected = false;
    // That it reconnects is worth a word only when it takes long.
    this.#reminder.isDue(String(RECONNECTING));
    const server = this.#connection?.getServer() ?? "";
    for (const listener of this.#listeners) listener.disconnected(server);
  }

  #unreachable(error: unknown): void {
    if (this.#stopped || !this.#reminder.isDue(String(error))) return;
    const servers = this.#options.url.split(",").map((url) => url.slice(url.lastIndexOf("@") + 1).trim());
    for (const listener of this.#listeners) listener.unreachable?.(servers.join(", "), error);
  }
}

/**
 * The client gives a connection up whose server does not answer only once all that it has written has left it, which may
 * be never: the server does not read either (@nats-io/transport-node 3.4.0).
 */
function destroySocket(connection: NatsConnection): void {
  const { protocol } = connection as unknown as { protocol?: { transport?: { socket?: { destroy(): void } } } };
  protocol?.transport?.socket?.destroy();
}
