import { afterEach, describe, expect, test } from "bun:test";
import { createServer, type Server, type Socket } from "node:net";
import { withOneConnection } from "../../src/db/one-connection.ts";
import { ManualClock } from "../../src/lib/clock.ts";
import { eventually, testDatabase } from "../support/services.ts";

const running: { server: Server; sockets: Socket[] }[] = [];
afterEach(() => {
  for (const { server, sockets } of running.splice(0)) {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
});

/** Something that listens, and is no Postgres. */
async function listening(answer: (socket: Socket) => void) {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => {});
    answer(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  running.push({ server, sockets });
  const { port } = server.address() as { port: number };
  return { sockets, url: `postgres://user:password@127.0.0.1:${port}/database` };
}

describe("what is no Postgres", () => {
  test.each([
    ["closes every connection", (socket: Socket) => void socket.resume().end(), 3],
    ["speaks HTTP", (socket: Socket) => void socket.resume().end("HTTP/1.1 400 Bad Request\r\n\r\n"), 3],
    ["says nothing", () => {}, 1],
  ])("and %s has ten seconds for a first answer", async (_, answer, connections) => {
    const { url, sockets } = await listening(answer);
    const clock = new ManualClock();
    let hasBegun = false;
    const failure = withOneConnection(url, async () => (hasBegun = true), clock).catch((error: Error) => error.message);
    await eventually(() => expect(sockets.length).toBeGreaterThanOrEqual(connections));
    clock.advance(9_999);
    expect(await Promise.race([failure, Bun.sleep(50)])).toBeUndefined();
    clock.advance(1);
    expect(await failure).toMatch(connections > 1 ? /10 s; \d+ connections were closed before one$/ : /10 s$/);
    expect(hasBegun).toBe(false);
  });
});

test("the work may take longer than that", async () => {
  const { url, drop } = await testDatabase();
  const clock = new ManualClock();
  const one = await withOneConnection(
    url,
    async (sql) => {
      clock.advance(60_000);
      return (await sql`SELECT 1 AS one`)[0]?.["one"] as number;
    },
    clock,
  );
  expect(one).toBe(1);
  await drop();
});
