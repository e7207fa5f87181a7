// Certificates are checked against the name of the URL, although an address is dialled.

import { afterAll, expect, test } from "bun:test";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { failureOf } from "../../src/sender/failure.ts";
import { requestTo, senderWith } from "./receivers.ts";
import { RECEIVER_CERTIFICATE, RECEIVER_KEY } from "./receiver-certificate.ts";

let requests = 0;
const server = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  tls: { key: RECEIVER_KEY, cert: RECEIVER_CERTIFICATE },
  fetch() {
    requests += 1;
    return new Response("ok");
  },
});
afterAll(() => server.stop(true));

const sender = senderWith({ lookup: async () => ["127.0.0.1"] });

test.each(["receiver.example", "127.0.0.1"])("a self-signed certificate is refused for %s, clearly", async (host) => {
  const before = requests;
  expect(await sender.send(requestTo(`https://${host}:${server.port}/`))).toMatchObject({
    kind: "failed",
    stage: "connect",
    error: "the TLS certificate was refused: it is self-signed (DEPTH_ZERO_SELF_SIGNED_CERT)",
    answer: null,
  });
  expect(requests).toBe(before);
});

test("a port that does not speak TLS is refused, clearly", async () => {
  using plain = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("ok") });
  expect(await sender.send(requestTo(`https://receiver.example:${plain.port}/`))).toMatchObject({
    kind: "failed",
    stage: "connect",
    error: "the TLS handshake failed: does this port speak TLS?",
  });
});

/** Trust is given to a process when it starts, so a process of its own trusts the certificate. */
async function trusting<Result>(
  program: string,
  urls: readonly string[],
  use: (child: Bun.Subprocess<"pipe", "pipe">) => Promise<Result>,
): Promise<Result> {
  const folder = await mkdtemp(join(tmpdir(), "fairpost-tls-"));
  const authority = join(folder, "ca.pem");
  await Bun.write(authority, RECEIVER_CERTIFICATE);
  const child = Bun.spawn([process.execPath, join(import.meta.dir, program), ...urls], {
    env: { ...process.env, NODE_EXTRA_CA_CERTS: authority },
    stdin: "pipe",
    stdout: "pipe",
  });
  const result = await use(child);
  await child.stdin.end();
  await rm(folder, { recursive: true });
  return result;
}

function sendAllTrusting(urls: readonly string[]): Promise<unknown> {
  return trusting("send-all.ts", urls, async (child) => JSON.parse(await child.stdout.text()));
}

test("a trusted certificate is checked against the name, although an address is dialled", async () => {
  const hosts = ["receiver.example", "other.example", "receiver.example", "127.0.0.1"];
  const results = await sendAllTrusting(hosts.map((host) => `https://${host}:${server.port}/`));
  const wrongName = "the TLS certificate was refused: it is for another host name (ERR_TLS_CERT_ALTNAME_INVALID)";
  expect(results).toEqual(["accepted", wrongName, "accepted", wrongName]);
});

test("a body that ends with the connection is not complete when TLS breaks", async () => {
  let tamper = () => {};
  using receiver = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    tls: { key: RECEIVER_KEY, cert: RECEIVER_CERTIFICATE },
    socket: {
      data(socket) {
        socket.write("HTTP/1.1 200 OK\r\n\r\nok");
        setTimeout(tamper, 50);
      },
    },
  });
  // Between the two, and able to write what no key has sealed.
  const between = createServer((near) => {
    const far = connect(receiver.port, "127.0.0.1");
    tamper = () => near.write(Buffer.concat([Buffer.of(0x17, 3, 3, 0, 32), Buffer.alloc(32)]));
    for (const socket of [near, far]) socket.on("error", () => {});
    near.pipe(far).pipe(near);
  });
  await once(between.listen(0, "127.0.0.1"), "listening");
  const address = between.address();
  const port = typeof address === "object" ? address?.port : undefined;
  expect(await sendAllTrusting([`https://receiver.example:${port}/`])).toEqual([
    "the connection broke before the answer's body ended",
  ]);
  between.close();
});

test("a receiver that does not read on is hung up on, whatever of the request is unsent", async () => {
  const closed = Promise.withResolvers<void>();
  using receiver = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    tls: { key: RECEIVER_KEY, cert: RECEIVER_CERTIFICATE },
    socket: {
      data(socket) {
        socket.pause();
        socket.write("HTTP/1.1 413 X\r\ncontent-length: 0\r\n\r\n");
      },
      close: () => closed.resolve(),
      error: () => {},
    },
  });
  // While the sender is still there: with it, its connections would end.
  await trusting("send-large.ts", [`https://receiver.example:${receiver.port}/`], () => closed.promise);
});

test("a receiver that asks for a certificate of ours has not had its own refused", () => {
  const error = Object.assign(new Error(), { code: "ERR_SSL_TLSV1_ALERT_CERTIFICATE_REQUIRED" });
  expect(failureOf(error).error).toBe("the TLS handshake failed (ERR_SSL_TLSV1_ALERT_CERTIFICATE_REQUIRED)");
});
