import { afterAll, beforeAll, expect, test } from "bun:test";
import { newId, type WebhookId } from "../../src/domain/ids.ts";
import { Bus } from "../../src/stream/bus.ts";
import { TcpProxy } from "../faults/tcp-proxy.ts";
import { eventually, type TestNats, testNats } from "../support/services.ts";
import { connected } from "./servers.ts";

let nats: TestNats;
beforeAll(async () => {
  nats = await testNats();
});
afterAll(() => nats.stop());

test("a change that nobody could be told of is announced after the next connection, once", async () => {
  const proxy = await TcpProxy.to(nats.port);
  const [telling, hearing] = [await connected(`nats://127.0.0.1:${proxy.port}`), await connected(nats.url)];
  const bus = new Bus(telling.link);
  const heard: WebhookId[] = [];
  new Bus(hearing.link).onWebhookChanged((webhookId) => heard.push(webhookId));
  await hearing.connection.flush();
  const [before, meanwhile, after] = [newId<WebhookId>(), newId<WebhookId>(), newId<WebhookId>()];
  bus.announceWebhookChanged(before);
  await eventually(() => expect(heard).toEqual([before]));
  proxy.cut();
  await eventually(() => expect(telling.link.connection).toBeUndefined());
  bus.announceWebhookChanged(meanwhile);
  bus.announceWebhookChanged(meanwhile);
  proxy.heal();
  await eventually(() => expect(heard).toEqual([before, meanwhile]));
  proxy.cut();
  await eventually(() => expect(telling.link.connection).toBeUndefined());
  proxy.heal();
  await eventually(() => expect(telling.link.connection).toBeDefined());
  bus.announceWebhookChanged(after);
  await eventually(() => expect(heard).toEqual([before, meanwhile, after]));
  await Promise.all([telling.link.stop(), hearing.link.stop()]);
  proxy.stop();
});
