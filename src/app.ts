// The composition root: the one file that knows everybody. It makes the parts of each role and introduces them.

import manifest from "../package.json";
import { createApiApp } from "./api/app.ts";
import { ensureFirstSuperuser, FirstSuperuser } from "./api/first-superuser.ts";
import type { Config } from "./config.ts";
import { isRefusedValue } from "./db/database.ts";
import { listEndpointSettings, noteSuccesses, saveCircuit } from "./db/endpoints.ts";
import { Pulse } from "./db/pulse.ts";
import { checkDeliveries, recordResults } from "./db/results.ts";
import { createFoundation, grouped } from "./foundation.ts";
import { Attempts } from "./delivery/attempt.ts";
import { Circuits } from "./delivery/circuits.ts";
import { EndpointCache } from "./delivery/endpoint-cache.ts";
import { HeldMessages } from "./delivery/held.ts";
import { type EndpointKey, Intake } from "./delivery/intake.ts";
import type { Held } from "./delivery/ports.ts";
import { Recorder } from "./delivery/recorder.ts";
import { Tenures } from "./delivery/tenures.ts";
import { Dispatcher } from "./dispatch/dispatcher.ts";
import type { UserId } from "./domain/ids.ts";
import { STREAM_MESSAGES_PER_SUBJECT_MAX } from "./domain/limits.ts";
import { type Priority, PRIORITY_WEIGHTS } from "./domain/priority.ts";
import { systemClock } from "./lib/clock.ts";
import { createPasswords } from "./lib/password.ts";
import { ownIdentity } from "./lib/process-identity.ts";
import { systemRandom } from "./lib/random.ts";
import type { Service } from "./lib/service.ts";
import { describeError } from "./observe/log.ts";
import { prometheusText, type Sample } from "./observe/metrics.ts";
import { Housekeeping } from "./publish/housekeeping.ts";
import { Refill } from "./publish/refill.ts";
import { TableKeeper } from "./publish/table-keeper.ts";
import { lastSequence } from "./stream/inspect.ts";
import { OwnersBucket } from "./stream/owners-bucket.ts";
import { Ownership } from "./stream/ownership.ts";
import { PartitionIntake } from "./stream/partition-intake.ts";

const clock = systemClock;
const random = systemRandom;

export function createApi(config: Config): Service {
  const foundation = createFoundation(config, "api", {});
  const { observe, database, link, keeper, outgoing, lag, acceptance, sender, cipher, counters, bus, publisher } =
    foundation;
  const passwords = createPasswords({ concurrencyMax: 2, waitingMax: 64 });

  const processSamples = (): Sample[] => [
    ...counters.samples(),
    { name: "fairpost_publishes_outstanding", labels: { role: "api" }, value: publisher.outstanding },
    { name: "fairpost_nats_connected", labels: { role: "api" }, value: link.connection === undefined ? 0 : 1 },
    { name: "fairpost_memory_bytes", labels: { role: "api" }, value: process.memoryUsage.rss() },
  ];
  const app = createApiApp({
    db: database,
    acceptance,
    passwords,
    cipher,
    clock,
    observe,
    settings: { jwtSecret: config.jwtSecret, registration: config.registration, version: manifest.version },
    checkTarget: (url, userId) => sender.checkTarget(url, userId),
    readiness: {
      postgres: () =>
        database
          .run(() => database.sql`SELECT 1`)
          .then(
            () => true,
            () => false,
          ),
      nats: async () => keeper.ensured !== undefined && (await link.answers()),
    },
    metrics: async () => prometheusText([...processSamples(), ...((await bus.collectMetrics()).flat() as Sample[])]),
    onWebhookChanged: (webhookId) => bus.announceWebhookChanged(webhookId),
  });
  const http: Service = {
    name: "http",
    start() {
      app.listen({ port: config.port, hostname: config.host });
      observe("service.started", { url: `http://${config.host}:${config.port}` });
      return Promise.resolve();
    },
    async stop() {
      await app.server?.stop();
    },
  };
  const services: Service[] = [lag, link, keeper, outgoing, acceptance, http];
  if (config.firstSuperuser !== undefined) {
    const { email, password } = config.firstSuperuser;
    const ensure = () => ensureFirstSuperuser(database, passwords, email, password);
    services.push(new FirstSuperuser({ email, ensure, clock, observe }));
  }
  return grouped("api", foundation, services);
}

/** `isFair` false: nobody's share is looked at, for the benchmark that shows what fairness costs (test/bench). */
export function createWorker(config: Config, isFair = true): Service {
  const workerId = Bun.randomUUIDv7();
  const foundation = createFoundation(config, "worker", { worker: workerId });
  const { observe, database, link, keeper, outgoing, lag, giveWay, acceptance, sender, cipher, counters, bus } =
    foundation;
  const { sql } = database;

  const held = new HeldMessages(clock);
  const recorder = new Recorder({
    clock,
    observe,
    write: (results) => database.run(() => recordResults(sql, results)),
    read: (ids) => database.run(() => checkDeliveries(sql, ids)),
    isRefusal: isRefusedValue,
  });
  const circuits = new Circuits({
    clock,
    observe,
    save: (target, change) => database.run(() => saveCircuit(sql, target, change)),
    noteSuccesses: (webhookIds) => database.run(() => noteSuccesses(sql, webhookIds)),
  });
  const endpoints = new EndpointCache({
    clock,
    observe,
    load: (ids) => database.run(() => listEndpointSettings(sql, ids)),
    decrypt: (secret, webhookId) => cipher.decrypt(secret, webhookId),
    circuits,
    onLoaded: (webhookId) => intake.actors.find(webhookId)?.lookAgain(),
    async disable(endpoint, reason) {
      const isNew = await acceptance.disableWebhook(endpoint, reason);
      bus.announceWebhookChanged(endpoint.webhookId);
      return isNew;
    },
  });
  bus.onWebhookChanged((webhookId) => endpoints.forget(webhookId));
  link.listen({ connected: () => endpoints.forgetAll(), disconnected: () => {} });
  const dispatcher = new Dispatcher<EndpointKey, Priority, Held>({
    clock,
    userOf: isFair ? ({ userId }) => userId : () => "everybody",
    weights: PRIORITY_WEIGHTS,
    slots: config.workerConcurrency,
    mayStart: () => recorder.hasRoom(),
    hasMemory: (user, isFast) => held.hasMemory(user as UserId, isFast),
  });
  const attempted = {
    accepted: counters.counter("fairpost_attempts_total", { worker: workerId, outcome: "accepted" }),
    gone: counters.counter("fairpost_attempts_total", { worker: workerId, outcome: "gone" }),
    failed: counters.counter("fairpost_attempts_total", { worker: workerId, outcome: "failed" }),
  };
  const leasesLost = counters.counter("fairpost_leases_lost_total", { worker: workerId });
  const takeovers = counters.counter("fairpost_takeovers_total", { worker: workerId });
  const attempts = new Attempts({
    clock,
    random,
    observe,
    endpoints,
    circuits,
    sender,
    log: recorder,
    held,
    retrySchedule: config.retryScheduleS,
    attemptTimeoutMs: config.attemptTimeoutMs,
    isCrowded: ({ webhookId, priority }) => intake.isCrowded(webhookId, priority),
    onLeftStream: (route, isHandedBack) => refill.messageLeft(route, isHandedBack),
    onRecorded: () => dispatcher.poke(),
    onOutcome: (outcome) => attempted[outcome.kind](1),
  });
  const intake = new Intake({
    clock,
    observe,
    held,
    log: recorder,
    endpoints,
    attempts,
    onReady: (actor) => dispatcher.ready(actor),
    onLaneFull: (lane) => outgoing.markFull(lane),
  });
  const refill = new Refill({
    database,
    link,
    outgoing,
    clock,
    observe,
    isHeld: (id) => held.has(id),
    laneOf: ({ webhookId, priority }) =>
      isFair ? intake.laneOf(webhookId, priority) : { depth: STREAM_MESSAGES_PER_SUBJECT_MAX, waiting: 0 },
    hasAppetite: (userId) => (isFair ? held.hasAppetite(userId) : held.isBelowHalf),
    restMs: (tookMs) => (isFair ? giveWay.restMs(tookMs) : 0),
  });
  const tableKeeper = new TableKeeper({
    database,
    link,
    keeper,
    clock,
    observe,
    isHeld: (id) => held.has(id),
    heldIn: (partition) => held.ofPartition(partition).map(({ message }) => message.deliveryId),
    onCancelled: (webhookId, beforeMs) => endpoints.cancelled(webhookId, beforeMs),
  });
  const tenures = new Tenures({
    clock,
    observe,
    intake,
    held,
    pull(partition, receive, refused) {
      const onUnreadable = (subject: string, seq: number, error: unknown) =>
        observe("message.unreadable", { subject, seq, error: describeError(error) });
      const receiveOne: typeof receive = (message, handle) => {
        const isFirst = message.origin === "accept" && handle.deliveryCount === 1;
        if (isFirst && !refill.hasBacklog(message.userId)) giveWay.cameBy(message.userId);
        receive(message, handle);
      };
      const onRefused = () => {
        refused();
        keeper.look();
      };
      return new PartitionIntake({
        link,
        partition,
        clock,
        inHand: held,
        onRefused,
        receive: receiveOne,
        onUnreadable,
      });
    },
    async lastSequence() {
      if (link.connection === undefined) throw new Error("not connected to NATS");
      return lastSequence(link.connection);
    },
    onBegin(partition) {
      refill.own(partition);
      tableKeeper.own(partition);
    },
    onEnd(partition) {
      refill.disown(partition);
      tableKeeper.disown(partition);
    },
  });
  const pulse = new Pulse(database, clock);
  const ownership = new Ownership({
    store: new OwnersBucket(link, foundation.writes),
    clock,
    workerId,
    identity: ownIdentity(),
    attemptTimeoutMs: config.attemptTimeoutMs,
    isAble: () => pulse.isAnswering,
    events: {
      gained: (partition, lease, reason) => tenures.gain(partition, lease, reason),
      release: (partition, reason) => tenures.release(partition, reason),
      lost(partition, reason) {
        leasesLost(1);
        tenures.drop(partition, reason);
      },
      takenOver: () => takeovers(1),
    },
    onTrouble: (task, error) => observe("lease.failed", { task, error: describeError(error) }),
  });
  const fleet: Service = {
    name: "fleet",
    async start() {
      await ownership.start();
      link.listen({ connected: () => {}, disconnected: () => tenures.streamIsUnknown() });
      keeper.onEnsured((ensured) => {
        if (link.connection === undefined) return;
        tenures.streamIs(ensured.epoch);
        const waitMs = ensured.bucketIsSuccessor ? Math.max(0, ownership.ttlMs - ensured.bucketAgeMs) : 0;
        ownership.bucketIs({ createdAt: ensured.bucketCreatedAt, claimNotBefore: clock.monotonic() + waitMs });
      });
      observe("service.started", {});
    },
    async stop() {
      await ownership.stop();
      await attempts.settled();
      await recorder.drain();
    },
  };
  bus.answerMetrics((): Sample[] => {
    const labels = { worker: workerId };
    const waiting = [...intake.actors.cells()].reduce((sum, actor) => sum + actor.mailbox.size, 0);
    return [
      ...counters.samples(),
      { name: "fairpost_partitions", labels, value: tenures.partitions.length },
      { name: "fairpost_requests_in_flight", labels, value: dispatcher.inFlight },
      { name: "fairpost_messages_held", labels, value: held.count },
      { name: "fairpost_messages_held_bytes", labels, value: held.bytes },
      { name: "fairpost_mailbox_depth", labels, value: waiting },
      { name: "fairpost_endpoint_actors", labels, value: intake.actors.size },
      { name: "fairpost_results_waiting", labels, value: recorder.waiting },
      {
        name: "fairpost_publishes_outstanding",
        labels: { role: "worker", ...labels },
        value: foundation.publisher.outstanding,
      },
      { name: "fairpost_memory_bytes", labels: { role: "worker", ...labels }, value: process.memoryUsage.rss() },
    ];
  });
  const housekeeping = new Housekeeping({ database, clock, observe, retentionDays: config.retentionDays });
  return grouped("worker", foundation, [
    lag,
    link,
    keeper,
    outgoing,
    acceptance,
    held,
    circuits,
    intake.actors,
    refill,
    tableKeeper,
    housekeeping,
    pulse,
    fleet,
  ]);
}
