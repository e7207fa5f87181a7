// One run: warm-up, a quiet phase in which only the victims send, the noisy phase, the drain; then the report. Whatever
// it has started it ends again, however the run ends.

import type { Clock } from "../lib/clock.ts";
import { type Random, seededRandom } from "../lib/random.ts";
import { Accounts } from "./accounts.ts";
import { ApiClient } from "./api-client.ts";
import { type Crew, post, read, type Work } from "./crew.ts";
import { Instance } from "./instance.ts";
import { Ledger } from "./ledger.ts";
import type { Options, PostMode } from "./options.ts";
import { Phases } from "./phases.ts";
import { Poster } from "./poster.ts";
import { ReceiverProcess } from "./receiver/receiver-process.ts";
import { forEachRecord } from "./receiver/records.ts";
import { refusingPort } from "./receiver/refusing-port.ts";
import { buildReport } from "./report/build.ts";
import type { Report } from "./report/report.ts";
import { Sampler } from "./sampler.ts";
import { SCENARIOS, victims } from "./scenarios.ts";
import { StopSignal, waitUntil } from "./stop-signal.ts";
import { Timeline } from "./timeline.ts";

/** After the last delivery, for those that come twice. */
const SETTLE_MS = 1_000;
/** For POSTs under way at the end. */
const ANSWERS_PATIENCE_MS = 10_000;
const POLL_MS = 50;
/** For what has just been started to reach its servers. */
const READY_PATIENCE_MS = 20_000;

/** The victims' requests in flight: with the noise's, below what Bun's fetch keeps at once (256). */
const TRICKLE_HANDS = 40;

export type RunOptions = { options: Options; clock: Clock; say: (line: string) => void };

export class Run {
  readonly #options: Options;
  readonly #clock: Clock;
  readonly #say: (line: string) => void;
  readonly #random: Random;
  readonly #runId = Bun.randomUUIDv7().slice(-12);
  readonly #ledger = new Ledger();
  readonly #notes: string[] = [];
  readonly #interrupt = new StopSignal();
  readonly #trickle = new StopSignal();

  constructor({ options, clock, say }: RunOptions) {
    this.#options = options;
    this.#clock = clock;
    this.#say = say;
    this.#random = seededRandom(options.seed);
  }

  /** Ends it early: no more posts, no drain, but a report. */
  interrupt(): void {
    this.#interrupt.stop();
    this.#trickle.stop();
  }

  async run(): Promise<Report> {
    const instance = new Instance(this.#options);
    try {
      this.#say(instance.isOwn ? "starting a Fairpost of our own" : `using ${instance.url}`);
      await instance.start();
      const receiver = await ReceiverProcess.start({ runKey: this.#runId, seed: this.#options.seed });
      try {
        return await this.#measure(instance, receiver);
      } finally {
        // First: Fairpost would wait for those that hang.
        await receiver.stop();
      }
    } finally {
      if (instance.isOwn) this.#say("stopping it");
      await instance.stop();
    }
  }

  async #measure(instance: Instance, receiver: ReceiverProcess): Promise<Report> {
    const api = new ApiClient(instance.url);
    await api.waitUntilReady(this.#clock, instance.isOwn ? READY_PATIENCE_MS : 0);
    receiver.onRecords = (bytes) => forEachRecord(bytes, (record) => this.#ledger.record(record));
    const accounts = new Accounts({
      api,
      ledger: this.#ledger,
      runId: this.#runId,
      receiverPort: receiver.port,
      refusingPort: await refusingPort(this.#random),
      stop: this.#interrupt,
    });
    try {
      const crews = await this.#createCrews(accounts);
      const poster = new Poster({ api, ledger: this.#ledger, clock: this.#clock, runId: this.#runId });
      const timeline = new Timeline(this.#ledger, (group) => group === crews[0]?.index);
      const phases = new Phases(this.#clock, this.#ledger);
      const sampler = new Sampler({ clock: this.#clock, api, instance, receiver, timeline, phases, say: this.#say });
      await sampler.start();
      try {
        await this.#play(crews, poster, phases);
      } finally {
        await sampler.stop();
      }
      return buildReport({
        options: this.#options,
        instance,
        ledger: this.#ledger,
        groups: crews.map(({ group }) => group),
        poster,
        timeline,
        phases,
        sampler,
        notes: this.#notes,
        isInterrupted: this.#interrupt.isStopped,
      });
    } finally {
      if (!instance.isOwn && !this.#options.keep) await accounts.remove();
    }
  }

  /** The victims first. */
  async #createCrews(accounts: Accounts): Promise<Crew[]> {
    const { scenario, victims: count, trickle, latencyMs } = this.#options;
    const noisy = SCENARIOS[scenario].groups({ ...this.#options, random: this.#random });
    const crews: Crew[] = [];
    for (const group of [victims(count, trickle, latencyMs), ...noisy]) {
      this.#say(`creating accounts: ${group.name}, ${group.users} with ${group.webhooksPerUser} webhooks each`);
      const index = this.#ledger.addGroup();
      crews.push({ group, index, senders: await accounts.create(index, group) });
    }
    return crews;
  }

  async #play([trickling, ...noisy]: Crew[], poster: Poster, phases: Phases): Promise<void> {
    if (trickling === undefined) return;
    const { warmUpS, quietS } = this.#options;
    const mode = await this.#mode(trickling, poster);
    phases.enter("warm-up");
    const trickle = post(trickling, this.#work(poster, "single", TRICKLE_HANDS, this.#trickle));
    await this.#interrupt.sleep(this.#clock, warmUpS * 1_000);
    phases.enter("quiet");
    await this.#interrupt.sleep(this.#clock, quietS * 1_000);
    phases.enter("noise");
    const hands = Math.max(1, Math.floor(this.#options.concurrency / noisy.length));
    await Promise.all(noisy.map((crew) => this.#makeNoise(crew, this.#work(poster, mode, hands, this.#interrupt))));
    this.#trickle.stop();
    phases.enter("drain");
    const patience = { clock: this.#clock, everyMs: POLL_MS, timeoutMs: ANSWERS_PATIENCE_MS };
    if (await waitUntil(patience, () => poster.inFlight === 0)) await trickle;
    await this.#drained(() => true);
    await this.#interrupt.sleep(this.#clock, SETTLE_MS);
    phases.end();
  }

  /** A backlog makes its noise until it is gone; a rate, for its time. */
  async #makeNoise(crew: Crew, work: Work): Promise<void> {
    await Promise.all([post(crew, work), read(crew, work)]);
    if (crew.group.load.kind === "count") await this.#drained((group) => group === crew.index);
  }

  /** Until everything accepted has arrived at the healthy receivers of these groups, or nothing has for too long. */
  async #drained(isMeant: (group: number) => boolean): Promise<void> {
    const groups = this.#ledger.groups.filter((_, index) => isMeant(index));
    const missing = () => groups.reduce((sum, group) => sum + group.expectedHealthy - group.deliveredHealthy, 0);
    let least = missing();
    let progressAt = this.#clock.monotonic();
    await waitUntil(
      { clock: this.#clock, stop: this.#interrupt, everyMs: POLL_MS, timeoutMs: Number.POSITIVE_INFINITY },
      () => {
        const now = missing();
        if (now < least) {
          least = now;
          progressAt = this.#clock.monotonic();
        }
        return now === 0 || this.#clock.monotonic() - progressAt > this.#options.drainS * 1_000;
      },
    );
  }

  async #mode({ senders }: Crew, poster: Poster): Promise<PostMode> {
    const [sender] = senders;
    if (this.#options.post !== "batch" || sender === undefined || (await poster.takesBatches(sender))) {
      return this.#options.post;
    }
    this.#notes.push("This Fairpost takes no batches: posted one by one.");
    return "single";
  }

  #work(poster: Poster, mode: PostMode, hands: number, stop: StopSignal): Work {
    return { poster, mode, hands, stop, batch: this.#options.batch, clock: this.#clock, random: this.#random };
  }
}
