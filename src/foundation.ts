// What both roles stand on: a log, the connections, and the way into the stream. A part of the composition root.

import manifest from "../package.json";
import type { Config } from "./config.ts";
import { openDatabase } from "./db/database.ts";
import { findForeignKeyId } from "./db/secrets.ts";
import type { UserId } from "./domain/ids.ts";
import { API_QUERY_TIMEOUT_MS, WORKER_QUERY_TIMEOUT_MS } from "./domain/limits.ts";
import { createCipher } from "./lib/cipher.ts";
import { systemClock as clock } from "./lib/clock.ts";
import { Reminder } from "./lib/reminder.ts";
import { LagMeter } from "./lib/lag-meter.ts";
import { type Service, ServiceGroup } from "./lib/service.ts";
import { createLog, describeError } from "./observe/log.ts";
import { Counters } from "./observe/metrics.ts";
import { AcceptEvents } from "./publish/accept-events.ts";
import { Accounts } from "./publish/accounts.ts";
import { Announcer } from "./publish/announce.ts";
import { GiveWay } from "./publish/give-way.ts";
import { Outgoing } from "./publish/outgoing.ts";
import { StreamKeeper } from "./publish/stream-keeper.ts";
import { createSender } from "./sender/send.ts";
import { Bus } from "./stream/bus.ts";
import { NatsLink } from "./stream/connection.ts";
import { Publisher } from "./stream/publisher.ts";
import { WriteWatch } from "./stream/write-watch.ts";

const DESCRIPTORS_REMINDER_MS = 10_000;
const DESCRIPTORS_REMEDY =
  "give the process more of them (ulimit -n): one for each request under way, and for each connection kept";
const UNWRITABLE_REMEDY = "see that its disk has room, and start NATS again: it does not write by itself any more";

export function createFoundation(config: Config, role: "api" | "worker", context: Record<string, string>) {
  const log = createLog(clock, config.logLevel, { role, ...context });
  const { observe } = log;
  const lag = new LagMeter(clock);
  const giveWay = new GiveWay({ clock, lagMs: () => lag.lagMs, calmestLagMs: () => lag.calmestMs });
  const database = openDatabase({
    url: config.databaseUrl,
    clock,
    connectionsMax: role === "api" ? 10 : 8,
    queryTimeoutMs: role === "api" ? API_QUERY_TIMEOUT_MS : WORKER_QUERY_TIMEOUT_MS,
    queriesMax: 2_000,
    applicationName: `fairpost ${role}`,
    restMs: (tookMs, userId) => giveWay.readRestMs(tookMs, userId),
  });
  const link = new NatsLink({ url: config.natsUrl, name: `fairpost ${role}`, clock });
  link.listen({
    connected: (server) => observe("nats.connected", { server }),
    disconnected: (server) => observe("nats.disconnected", { server }),
    unreachable: (servers, error) =>
      observe("nats.unreachable", { servers, error: describeError(error), setting: "NATS_URL" }),
  });
  const keeper = new StreamKeeper({ link, database, clock, observe, replicas: config.natsReplicas });
  const writes = new WriteWatch({
    clock,
    onSilent(stream, forMs) {
      observe("nats.unwritable", { stream, for_s: Math.round(forMs / 1_000), remedy: UNWRITABLE_REMEDY });
      // `bun run start` starts its own NATS again.
      process.send?.("nats-unwritable");
    },
  });
  const publisher = new Publisher(link, clock, writes);
  const counters = new Counters();
  const labels = { role, ...context };
  const published = {
    accept: counters.counter("fairpost_deliveries_published_total", { ...labels, origin: "accept" }),
    refill: counters.counter("fairpost_deliveries_published_total", { ...labels, origin: "refill" }),
  };
  const onPublished = (origin: "accept" | "refill") => published[origin](1);
  const outgoing = new Outgoing({ publisher, keeper, database, clock, observe, onPublished });
  const onAccepted = counters.counter("fairpost_events_accepted_total", labels);
  const accounts = new Accounts(database, clock);
  const restMs = (tookMs: number, userId: UserId) => giveWay.restMs(tookMs, userId);
  const announcer = new Announcer({ outgoing, clock, observe, onAccepted, restMs });
  const acceptance = new AcceptEvents({ database, accounts, announcer, giveWay, clock });
  const descriptors = new Reminder(clock, DESCRIPTORS_REMINDER_MS);
  const sender = createSender({
    clock,
    version: manifest.version,
    egressAllow: config.egressAllow,
    onOutOfDescriptors() {
      if (descriptors.isDue("")) observe("descriptors.exhausted", { remedy: DESCRIPTORS_REMEDY });
    },
  });
  const cipher = createCipher(config.secretsKey);
  const bus = new Bus(link);
  return {
    log,
    observe,
    database,
    link,
    keeper,
    publisher,
    writes,
    outgoing,
    lag,
    giveWay,
    acceptance,
    sender,
    cipher,
    counters,
    bus,
  };
}

export type Foundation = ReturnType<typeof createFoundation>;

/**
 * With a key of which no stored secret is, a process could send nothing to anybody: it must not begin. A single secret of
 * another key is its webhook's trouble alone (`endpoint.unreadable`).
 */
async function refuseForeignKey({ observe, database, cipher }: Foundation): Promise<void> {
  let foreign: string | undefined;
  try {
    foreign = await database.run(() => findForeignKeyId(database.sql, cipher.keyId));
  } catch (error) {
    // Postgres may come later: then each endpoint that cannot be read is reported.
    observe("housekeeping.failed", {
      task: "compare SECRETS_KEY with the stored secrets",
      error: describeError(error),
    });
  }
  if (foreign === undefined) return;
  throw new Error(
    `SECRETS_KEY is not the key that the stored signing secrets were encrypted with: its id is ${cipher.keyId}, theirs ` +
      `${foreign}. Set the key that was used so far.`,
  );
}

/** The role's services between its database, which closes last but for the log. */
export function grouped(role: string, foundation: Foundation, services: readonly Service[]): Service {
  const { log, observe, database } = foundation;
  const key: Service = {
    name: "secrets key",
    start: () => refuseForeignKey(foundation),
    stop: () => Promise.resolve(),
  };
  const last: Service = {
    name: "database",
    start: () => Promise.resolve(),
    async stop() {
      await database.close();
      observe("service.stopped", {});
      await log.close();
    },
  };
  return new ServiceGroup(role, [last, key, ...services], (service, error) =>
    observe("stop.failed", { service, error: describeError(error) }),
  );
}
