// A database and a stream of the test's own: what lies between the table and the stream needs both.

import type { NatsLink } from "../../src/stream/connection.ts";
import { ensureTopology } from "../../src/stream/topology.ts";
import { type Rows, startRows } from "../db/rows.ts";
import { connected } from "../stream/servers.ts";
import { eventually, testNats } from "../support/services.ts";

export type Servers = { rows: Rows; link: NatsLink; stop(): Promise<void> };

export async function startServers(): Promise<Servers> {
  const [rows, nats] = await Promise.all([startRows(), testNats()]);
  const { link, connection } = await connected(nats.url);
  await eventually(() => ensureTopology(connection, 1));
  return {
    rows,
    link,
    async stop() {
      await link.stop();
      await nats.stop();
      await rows.stop();
    },
  };
}
