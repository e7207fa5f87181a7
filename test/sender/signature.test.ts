// Signatures, as the public `standardwebhooks` library and the specification see them.

import { expect, test } from "bun:test";
import fc from "fast-check";
import { Webhook } from "standardwebhooks";
import { newWebhookSecret } from "../../src/domain/webhook.ts";
import { sign } from "../../src/sender/signature.ts";

const nowS = Math.floor(Date.now() / 1_000);

test("the public library verifies every body and every live secret", () => {
  const text = fc.string({ unit: "binary" }).filter((body) => body.isWellFormed());
  fc.assert(
    fc.property(text, fc.integer({ min: 1, max: 3 }), (data, count) => {
      const payload = JSON.stringify({ data });
      const secrets = Array.from({ length: count }, newWebhookSecret);
      const headers = {
        "webhook-id": "event",
        "webhook-timestamp": String(nowS),
        "webhook-signature": sign(secrets, "event", nowS, payload),
      };
      for (const secret of secrets) expect(new Webhook(secret).verify(payload, headers)).toEqual({ data });
      expect(() => new Webhook(newWebhookSecret()).verify(payload, headers)).toThrow();
      expect(() => new Webhook(secrets[0] ?? "").verify(`${payload} `, headers)).toThrow();
    }),
  );
});

test("the specification's example", () => {
  const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
  const payload = '{"test": 2432232314}';
  expect(sign([secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, payload)).toBe(
    "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
  );
});
