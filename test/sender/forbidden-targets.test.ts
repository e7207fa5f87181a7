// Every way we know of naming a place that may not be reached. The places exist: a receiver listens on this machine,
// on IPv4 and IPv6, and nothing may arrive there.

import { afterAll, expect, test } from "bun:test";
import { rawReceiver, requestTo, senderWith } from "./receivers.ts";

const receiver = rawReceiver((socket) => {
  socket.end("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
}, "::");
afterAll(() => receiver[Symbol.dispose]());

/** Names as an attacker's name server would answer them. */
const ZONE: Record<string, string[]> = {
  "loopback.example": ["127.0.0.1"],
  "loopback6.example": ["::1"],
  "mapped.example": ["::ffff:127.0.0.1"],
  "compatible.example": ["::127.0.0.1"],
  "nat64.example": ["64:ff9b::7f00:1"],
  "private.example": ["10.0.0.1"],
  "metadata.example": ["169.254.169.254"],
  "azure.example": ["168.63.129.16"],
  "mixed.example": ["8.8.8.8", "127.0.0.1"],
  "mixed6.example": ["2606:4700:4700::1111", "::1"],
  "any.example": ["0.0.0.0"],
  "unique-local.example": ["fd00:ec2::254"],
  "link-local.example": ["fe80::1"],
  "zone.example": ["fe80::1%lo"],
  "nonsense.example": ["not an address"],
};

const sender = senderWith({
  egressAllow: [],
  lookup: async (name) => ZONE[name] ?? Promise.reject(Object.assign(new Error(), { code: "DNS_ENOTFOUND" })),
});

const HOSTS = `
  127.0.0.1 127.0.0.2 127.1 127.0.1 127.255.255.254 127.0.0.1. 0 0.0.0.0 0x0 0x7f000001 0x7f.1 0x7f.0.0.1 0x7F.0X0.0.1
  2130706433 017700000001 0177.1 0177.0.0.1 0177.0.0.01 00177.0.0.1 127.0x0.0.1 %31%32%37.0.0.1 127%2e0%2e0%2e1
  ①②⑦.⓪.⓪.① １２７.０.０.１ 127。0。0。1 127．0．0．1 127｡0｡0｡1
  [::1] [0:0:0:0:0:0:0:1] [0000::0001] [::] [::ffff:127.0.0.1] [::ffff:7f00:1] [::ffff:7F00:0001] [0:0:0:0:0:ffff:127.0.0.1]
  [::127.0.0.1] [::7f00:1] [::ffff:0:127.0.0.1] [64:ff9b::127.0.0.1] [64:ff9b::7f00:1] [64:ff9b:1::7f00:1] [2002:7f00:1::]
  [2002:7f00:0001::1] [2001::1] [fe80::1] [fec0::1] [fc00::1] [fd00:ec2::254] [ff02::1] [100::1] [5f00::1] [3fff::1] [2001:db8::1]
  localhost LOCALHOST localhost. LocalHost. a.localhost foo.bar.LOCALHOST. ｌocalhost loc\u00ADalhost
  10.0.0.1 10.1 0xa.1 012.0.0.1 167772161 100.64.0.1 100.100.100.200 168.63.129.16 169.254.169.254 0xa9fea9fe 2852039166
  0251.0376.0251.0376 [::ffff:169.254.169.254] 169.254.43518 172.16.0.1 172.31.255.255 192.168.0.1 192.168.1 3232235777 192.0.0.192
  198.18.0.1 203.0.113.7 224.0.0.1 240.0.0.1 255.255.255.255 4294967295
  ${Object.keys(ZONE).join(" ")} LOOPBACK.example loopback.example. ｌoopback.example`
  .trim()
  .split(/\s+/);

const URLS = HOSTS.flatMap((host) => [`http://${host}:${receiver.port}/hook`, `https://${host}/`]);

test.each(URLS)("%s is blocked at the attempt and at registration", async (url) => {
  const outcome = await sender.send(requestTo(url));
  expect(outcome).toMatchObject({ kind: "failed", stage: "blocked", answer: null });
  expect(outcome.kind === "failed" && outcome.error).toMatch(/ is (a|an|the|not a) .*address$/);
  const check = await sender.checkTarget(url, "user");
  expect(check).toEqual({ ok: false, why: outcome.kind === "failed" ? outcome.error : "" });
});

// prettier-ignore
const MALFORMED = [
  "", " ", "x", "http", "http:", "http:/", "http://", "http:///", "http:///127.0.0.1", "https:127.0.0.1", "//127.0.0.1",
  "ftp://127.0.0.1", "file:///etc/passwd", "gopher://127.0.0.1", "data:text/plain,x", "javascript:alert(1)", "ws://127.0.0.1",
  "unix:///var/run/docker.sock", "http+unix://%2fvar%2frun%2fdocker.sock/", "blob:http://127.0.0.1/x", "httpx://127.0.0.1",
  "http://user@127.0.0.1", "http://user:pw@127.0.0.1", "http://@127.0.0.1", "http://:@127.0.0.1", "http://a@b@127.0.0.1",
  "http://example.com@127.0.0.1", "http://example.com\\@127.0.0.1", "http:\\\\127.0.0.1", "http://127.0.0.1\\x",
  "ht\ntp://127.0.0.1", "http://127.0.\t0.1", "http://127.0.0.1\r\n/x", " http://127.0.0.1", "http://127.0.0.1 ", "http://127.0.0.1/a b",
  "http://127.0.0.1/\0", "http://127.0.0.1/\u0085", "http://127.0.0.1/\u2028", "http://127.0.0.1/\uD800", "\uFEFFhttp://127.0.0.1",
  "http://127.0.0.1:0/", "http://127.0.0.1:65536/", "http://127.0.0.1:-1/", "http://127.0.0.1:x/", "http://127.0.0.1:80:80/",
  "http://[::1", "http://::1/", "http://[::1%25lo]/", "http://[::1%lo]/", "http://[127.0.0.1]/", "http://1.2.3.4.5/", "http://256.1.1.1/",
  "http://a..example/", "http://.example/", "http://a.example../", "http://./", "http://a*b.example/", "http://a,b.example/",
  "http://a%00.example/", "http://a%0d%0a.example/", "http://a%2f.example/", "http://xn--/", `http://${"a".repeat(64)}.example/`,
  `http://${"a.".repeat(127)}example/`, `http://127.0.0.1/${"a".repeat(2_048)}`, `http://127.0.0.1/${"é".repeat(500)}`,
];

test.each(MALFORMED)("%j is refused for its shape", async (url) => {
  const outcome = await sender.send(requestTo(url));
  expect(outcome).toMatchObject({ kind: "failed", stage: "webhook", answer: null });
  expect(outcome.kind === "failed" && outcome.error).toMatch(/^the URL must /);
  expect((await sender.checkTarget(url, "user")).ok).toBe(false);
});

test("nothing of all this was reached", async () => {
  expect(receiver.connections).toBe(0);
  // And the receiver would have noticed.
  const outcome = await senderWith().send(requestTo(`http://localhost:${receiver.port}/`));
  expect(outcome.kind).toBe("accepted");
  expect(receiver.connections).toBe(1);
});

test("a name that does not resolve just now may be registered", async () => {
  expect(await sender.checkTarget("https://nowhere.example/", "user")).toEqual({ ok: true });
  expect(await sender.send(requestTo("https://nowhere.example/"))).toMatchObject({
    kind: "failed",
    stage: "resolve",
    error: "the name nowhere.example has no address",
  });
});
