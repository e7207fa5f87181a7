// The rules for a webhook's URL, headers and secrets that need no network.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  checkWebhookHeaders,
  checkWebhookUrl,
  faultOfWebhookHeader,
  isWebhookSecret,
  keyOfWebhookSecret,
  newWebhookSecret,
} from "../../src/domain/webhook.ts";

function keyOf(url: string): string {
  const checked = checkWebhookUrl(url);
  return checked.ok ? checked.value.key : checked.fault;
}

describe("a URL", () => {
  test.each([
    ["https://Example.COM", "https://example.com/"],
    ["HTTPS://example.com:443/#fragment", "https://example.com/"],
    ["https://example.com./?", "https://example.com/"],
    ["https://example.com:8443/a?b=c", "https://example.com:8443/a?b=c"],
    ["http://example.com:80/a/../b", "http://example.com/b"],
    ["http://bücher.example/ü", "http://xn--bcher-kva.example/%C3%BC"],
    ["http://0x7f.1:8080", "http://127.0.0.1:8080/"],
    ["http://[0:0::1]:80", "http://[::1]/"],
    ["http://under_score.example", "http://under_score.example/"],
  ])("%s has the key %s", (url, key) => {
    expect(keyOf(url)).toBe(key);
  });

  test("is taken apart", () => {
    expect(checkWebhookUrl("https://[2606:4700::1]:8443/a?b")).toEqual({
      ok: true,
      value: {
        scheme: "https",
        host: "2606:4700::1",
        port: 8443,
        authority: "[2606:4700::1]:8443",
        path: "/a?b",
        key: "https://[2606:4700::1]:8443/a?b",
      },
    });
  });

  test("a key is its own key, and every fault is a clause", () => {
    fc.assert(
      fc.property(fc.oneof(fc.webUrl({ withFragments: true, withQueryParameters: true }), fc.string()), (url) => {
        const checked = checkWebhookUrl(url);
        if (checked.ok) expect(keyOf(checked.value.key)).toBe(checked.value.key);
        else expect(checked.fault).toMatch(/^must /);
      }),
    );
  });
});

describe("custom headers", () => {
  // prettier-ignore
  test.each([
    "Host", "connection", "Content-Length", "Transfer-Encoding", "keep-alive", "Upgrade", "TE", "Trailer", "Expect", "Content-Type",
    "Content-Encoding", "User-Agent", "Webhook-Id", "webhook-signature", "WEBHOOK-anything", "Proxy-Authorization", "accept-encoding",
  ])("%s may not be set", (name) => {
    expect(faultOfWebhookHeader(name, "x")).toMatch(/^may not be set/);
  });

  test.each(["", "a b", "a:b", "a\r\nb", "ä", "a\0", "x".repeat(129)])("%j is no name", (name) => {
    expect(faultOfWebhookHeader(name, "x")).toMatch(/^must have a /);
  });

  test.each([" a", "a ", "a\r\nb: c", "a\0", "é", "\t", "x".repeat(1_025)])("%j is no value", (value) => {
    expect(faultOfWebhookHeader("x-a", value)).toMatch(/^must have a value/);
  });

  test("others may, twenty of them, each once", () => {
    expect(checkWebhookHeaders({ Authorization: "Bearer a b", cookie: "a=b", "X-Empty": "" })).toEqual([]);
    expect(checkWebhookHeaders({ "x-a": "1", "X-A": "2", host: "x" }).map(({ name }) => name)).toEqual(["X-A", "host"]);
    const many = Object.fromEntries(Array.from({ length: 21 }, (_, index) => [`x-${index}`, ""]));
    expect(checkWebhookHeaders(many)).toEqual([{ name: "", fault: "must be at most 20 headers" }]);
  });
});

describe("a secret", () => {
  test("that is new is valid and has 32 bytes", () => {
    const secret = newWebhookSecret();
    expect(isWebhookSecret(secret)).toBe(true);
    expect(keyOfWebhookSecret(secret)).toHaveLength(32);
    expect(newWebhookSecret()).not.toBe(secret);
  });

  test("has 24 to 64 bytes in padded base64", () => {
    const of = (bytes: number) => `whsec_${Buffer.alloc(bytes, 7).toString("base64")}`;
    expect([24, 25, 32, 64].map((bytes) => isWebhookSecret(of(bytes)))).toEqual([true, true, true, true]);
    for (const bad of [
      of(23),
      of(65),
      "whsec_",
      "",
      of(32).slice(6),
      of(32).replace("=", ""),
      `${of(24)} `,
      `${of(24)}\n`,
    ]) {
      expect(isWebhookSecret(bad)).toBe(false);
    }
  });
});
