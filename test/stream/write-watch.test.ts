import { expect, test } from "bun:test";
import { ManualClock } from "../../src/lib/clock.ts";
import { WriteWatch } from "../../src/stream/write-watch.ts";

function watched() {
  const clock = new ManualClock();
  const said: [stream: string, forS: number][] = [];
  const writes = new WriteWatch({ clock, onSilent: (stream, forMs) => said.push([stream, forMs / 1_000]) });
  /** A write a second, none of them answered. */
  const unanswered = (stream: string, seconds: number): void => {
    for (let second = 0; second < seconds; second += 1) {
      writes.unanswered(stream);
      clock.advance(1_000);
    }
  };
  return { clock, said, writes, unanswered };
}

test("a stream to which nothing can be written is said after half a minute, and then every minute", () => {
  const { said, unanswered } = watched();
  unanswered("deliveries", 30);
  expect(said).toEqual([]);
  unanswered("deliveries", 150);
  expect(said).toEqual([
    ["deliveries", 30],
    ["deliveries", 90],
    ["deliveries", 150],
  ]);
});

test("two answers that were lost an hour apart are no silence", () => {
  const { clock, said, unanswered } = watched();
  unanswered("deliveries", 1);
  clock.advance(3_600_000);
  unanswered("deliveries", 1);
  expect(said).toEqual([]);
});

test("one answer ends it, for that stream alone", () => {
  const { said, writes, unanswered } = watched();
  unanswered("deliveries", 20);
  writes.answered("leases");
  unanswered("leases", 5);
  writes.answered("deliveries");
  unanswered("deliveries", 25);
  expect(said).toEqual([]);
  unanswered("leases", 1);
  expect(said).toEqual([["leases", 30]]);
});
