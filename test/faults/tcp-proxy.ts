// A TCP proxy that can be cut: connections break and new ones are refused, or (a black hole) nothing passes any more
// though everything seems connected.

import { connect, createServer, type Server, type Socket } from "node:net";

export class TcpProxy {
  readonly port: number;
  readonly #server: Server;
  readonly #pairs: Set<readonly [Socket, Socket]>;
  readonly #state: { mode: "open" | "refusing" | "black hole" };
  readonly #clogged: WeakSet<Socket>;

  private constructor(
    port: number,
    server: Server,
    pairs: Set<readonly [Socket, Socket]>,
    state: { mode: "open" },
    clogged: WeakSet<Socket>,
  ) {
    this.port = port;
    this.#server = server;
    this.#pairs = pairs;
    this.#state = state;
    this.#clogged = clogged;
  }

  static async to(targetPort: number): Promise<TcpProxy> {
    const pairs = new Set<readonly [Socket, Socket]>();
    const state: { mode: "open" | "refusing" | "black hole" } = { mode: "open" };
    const clogged = new WeakSet<Socket>();
    const server = createServer((client) => {
      if (state.mode === "refusing") return void client.destroy();
      const target = connect({ host: "127.0.0.1", port: targetPort });
      const pair = [client, target] as const;
      pairs.add(pair);
      for (const [from, to] of [pair, pair.toReversed() as [Socket, Socket]]) {
        from.setNoDelay(true);
        from.on("data", (chunk) => {
          if (state.mode !== "open") return;
          if (!to.write(chunk)) from.pause();
        });
        to.on("drain", () => clogged.has(from) || from.resume());
        from.on("error", () => {});
        from.on("close", () => {
          // Whoever is behind a black hole does not hear of the other's end either.
          if (state.mode !== "black hole") to.destroy();
          pairs.delete(pair);
        });
      }
      return undefined;
    });
    await new Promise<void>((resolve) => server.listen({ port: 0, host: "127.0.0.1" }, resolve));
    const { port } = server.address() as { port: number };
    return new TcpProxy(port, server, pairs, state as { mode: "open" }, clogged);
  }

  /** Breaks every connection and refuses new ones. */
  cut(): void {
    this.#state.mode = "refusing";
    this.#breakAll();
  }

  /** Swallows everything from now on. */
  swallow(): void {
    this.#state.mode = "black hole";
  }

  /** Reads nothing more from those who are connected, as a host that has died; new connections pass. */
  clog(): void {
    for (const socket of [...this.#pairs].flat()) {
      this.#clogged.add(socket);
      socket.pause();
    }
  }

  /** New connections pass; those that went into a black hole, where bytes are missing, are broken. */
  heal(): void {
    if (this.#state.mode === "black hole") this.#breakAll();
    this.#state.mode = "open";
  }

  stop(): void {
    this.#state.mode = "refusing";
    this.#breakAll();
    this.#server.close();
  }

  #breakAll(): void {
    for (const [client, target] of this.#pairs) {
      client.destroy();
      target.destroy();
    }
    this.#pairs.clear();
  }
}
