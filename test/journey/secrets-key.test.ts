// Signing secrets that cannot be read: with another SECRETS_KEY nothing starts, and a single one is its webhook's trouble.

import { afterAll, beforeAll, expect, test } from "bun:test";
import postgres from "postgres";
import { type Receiver, startReceiver } from "../support/receiver.ts";
import { Fairpost, patiently } from "./fairpost.ts";

let fairpost: Fairpost;
let receiver: Receiver;
beforeAll(async () => {
  receiver = startReceiver();
  fairpost = await Fairpost.start();
});
afterAll(async () => {
  await fairpost.stop();
  await receiver.stop();
});

test("a secret of another key holds up no other webhook, and its deliveries wait until it can be read", async () => {
  const account = await fairpost.account();
  const broken = await account.webhook(receiver.at("/broken"));
  await account.webhook(receiver.at("/beside"));
  const sql = postgres(fairpost.database.url, { max: 1 });
  await sql`UPDATE webhook_secrets SET ciphertext = 'not readable' WHERE webhook_id = ${broken.id}`;
  await sql.end();
  for (let event = 0; event < 5; event += 1) await account.event("order.paid");
  await patiently(() => expect(receiver.of("/beside")).toHaveLength(5));
  expect(receiver.of("/broken")).toHaveLength(0);
  expect(await account.deliveries(`webhook_id=${broken.id}&status=pending`)).toHaveLength(5);
});

test.each(["api", "worker"] as const)("the %s refuses to start with another key than the secrets'", async (role) => {
  const account = await fairpost.account();
  await account.webhook(receiver.at("/another"));
  const other = fairpost.create(role, { SECRETS_KEY: Buffer.alloc(32, 8).toString("base64") });
  expect(await other.start().catch(String)).toContain("SECRETS_KEY is not the key");
});
