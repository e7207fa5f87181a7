// Certificates are checked against the name of the URL, although an address is dialled.

import { afterAll, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
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
test("a trusted certificate is checked against the name, although an address is dialled", async () => {
  const folder = await mkdtemp(join(tmpdir(), "fairpost-tls-"));
  const authority = join(folder, "ca.pem");
  await Bun.write(authority, RECEIVER_CERTIFICATE);
  const urls = ["receiver.example", "other.example", "receiver.example", "127.0.0.1"];
  const child = Bun.spawn(
    [process.execPath, join(import.meta.dir, "send-all.ts"), ...urls.map((host) => `https://${host}:${server.port}/`)],
    { env: { ...process.env, NODE_EXTRA_CA_CERTS: authority }, stdout: "pipe" },
  );
  const results: unknown = JSON.parse(await child.stdout.text());
  await rm(folder, { recursive: true });
  const wrongName = "the TLS certificate was refused: it is for another host name (ERR_TLS_CERT_ALTNAME_INVALID)";
  expect(results).toEqual(["accepted", wrongName, "accepted", wrongName]);
});
