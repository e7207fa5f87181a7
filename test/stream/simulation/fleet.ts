// Workers of the simulation: the real Ownership over a simulated process, with receivers that take as long as they may.
// At every instant at which a worker could start a request it does, and the request runs for the whole timeout: what
// overlaps then could overlap in life.

import { ALL_PARTITIONS, type Partition } from "../../../src/domain/partition.ts";
import type { Lease } from "../../../src/domain/lease.ts";
import { Ownership } from "../../../src/stream/ownership.ts";
import { SimulatedBucket } from "./bucket.ts";
import { SimulatedProcess } from "./process.ts";
import type { World } from "./world.ts";

export const ATTEMPT_TIMEOUT_MS = 1_000;
/** How often every worker is looked at. */
const STEP_MS = 25;
/** How often a worker looks whether the bucket is still the one that it knows (publish/stream-keeper.ts). */
const LOOK_MS = 2_000;

export type Teeth = {
  /** Whether a request may start. */
  mayStart(lease: Lease): boolean;
  /** Given a lease that a worker has just gained. */
  tamper(lease: Lease, process: SimulatedProcess, partition: Partition): void;
};

export const SOUND: Teeth = { mayStart: (lease) => lease.lasts(ATTEMPT_TIMEOUT_MS), tamper: () => {} };

type Tenure = { lease: Lease; isDraining: boolean };

export class SimulatedWorker {
  readonly id: string;
  readonly process: SimulatedProcess;
  readonly ownership: Ownership;
  readonly tenures = new Map<Partition, Tenure>();
  /** Until when a request of ours may run, true time. */
  readonly busyUntil = new Map<Partition, number>();
  /** Its Postgres answers. */
  isAble = true;
  isStopping = false;
  hasStopped = false;
  #knownBucket: SimulatedBucket | undefined;

  constructor(fleet: SimulatedFleet, index: number) {
    const { world } = fleet;
    this.id = `worker-${String(index).padStart(3, "0")}`;
    this.process = new SimulatedProcess(world, () => fleet.bucket);
    const start = { bootId: fleet.machineOf(index), pidNamespace: "", pid: index, startTicks: "" };
    this.ownership = new Ownership({
      store: this.process,
      clock: this.process,
      workerId: this.id,
      identity: start,
      hasEnded: (other) => other.bootId === start.bootId && fleet.workers[other.pid]?.hasEnded === true,
      attemptTimeoutMs: ATTEMPT_TIMEOUT_MS,
      isAble: () => this.isAble,
      events: {
        gained: (partition, lease) => {
          fleet.teeth.tamper(lease, this.process, partition);
          this.tenures.set(partition, { lease, isDraining: false });
        },
        release: async (partition) => {
          const tenure = this.tenures.get(partition);
          if (tenure === undefined) return;
          tenure.isDraining = true;
          const restMs = world.between(0, Math.max(0, (this.busyUntil.get(partition) ?? 0) - world.now));
          this.busyUntil.set(partition, world.now + restMs);
          await new Promise<void>((resolve) => this.process.after(restMs * 1.01 + 1, resolve));
          // Results cannot be recorded meanwhile.
          while (!this.isAble) await new Promise<void>((resolve) => this.process.after(500, resolve));
          if (this.tenures.get(partition) === tenure) this.tenures.delete(partition);
        },
        lost: (partition) => this.tenures.delete(partition),
        takenOver: () => {},
      },
      onTrouble: () => {},
    });
    this.ownership.start().catch(() => {});
    const look = (): void => {
      this.#lookAtBucket(fleet);
      this.process.after(LOOK_MS, look);
    };
    this.process.after(0, look);
  }

  get hasEnded(): boolean {
    return this.process.isKilled || this.hasStopped;
  }

  stop(): void {
    if (this.isStopping || !this.process.isRunning) return;
    this.isStopping = true;
    this.ownership.stop().then(
      () => (this.hasStopped = true),
      () => (this.hasStopped = true),
    );
  }

  kill(): void {
    this.process.kill();
    this.busyUntil.clear();
  }

  /** As publish/stream-keeper.ts and app.ts do. */
  #lookAtBucket({ bucket, world, isFirstBucket }: SimulatedFleet): void {
    if (bucket === undefined || bucket === this.#knownBucket || this.isStopping || !this.process.isConnected) return;
    const ageMs = world.now - bucket.createdAt;
    const waitMs = isFirstBucket ? 0 : Math.max(0, this.ownership.ttlMs - ageMs);
    this.#knownBucket = bucket;
    this.ownership.bucketIs({ createdAt: String(bucket.createdAt), claimNotBefore: this.process.monotonic() + waitMs });
  }
}

export class SimulatedFleet {
  readonly world: World;
  readonly teeth: Teeth;
  readonly workers: SimulatedWorker[] = [];
  readonly violations: string[] = [];
  bucket: SimulatedBucket | undefined;
  isFirstBucket = true;
  readonly #machines: number;

  constructor(world: World, workers: number, teeth: Teeth) {
    this.world = world;
    this.teeth = teeth;
    this.#machines = world.happens(0.5) ? 1 : 100;
    this.bucket = new SimulatedBucket(world);
    for (let index = 0; index < workers; index += 1) this.join();
    world.observe(STEP_MS, () => this.#check());
  }

  /** Those that run and mean to stay. */
  get present(): SimulatedWorker[] {
    return this.workers.filter(({ process, isStopping }) => !process.isKilled && !isStopping);
  }

  join(): void {
    this.workers.push(new SimulatedWorker(this, this.workers.length));
  }

  machineOf(index: number): string {
    return `machine-${index % this.#machines}`;
  }

  deleteBucket(forMs: number): void {
    this.bucket = undefined;
    this.world.after(forMs, () => {
      this.bucket = new SimulatedBucket(this.world);
      this.isFirstBucket = false;
    });
  }

  /** Who could start a request now does; and nobody else's may be under way. */
  #check(): void {
    const { world, workers } = this;
    for (const partition of ALL_PARTITIONS) {
      for (const worker of workers) {
        if (!this.#mayStart(worker, partition)) continue;
        for (const other of workers) {
          if (other === worker || (other.busyUntil.get(partition) ?? 0) <= world.now) continue;
          this.violations.push(`${world.now} ms: ${worker.id} and ${other.id} both request for p${partition}`);
        }
        worker.busyUntil.set(partition, world.now + ATTEMPT_TIMEOUT_MS);
      }
    }
  }

  #mayStart({ process, tenures }: SimulatedWorker, partition: Partition): boolean {
    const tenure = tenures.get(partition);
    return process.isRunning && tenure !== undefined && !tenure.isDraining && this.teeth.mayStart(tenure.lease);
  }
}
