// The first superuser of an API that starts before its Postgres.

import { expect, test } from "bun:test";
import { FirstSuperuser } from "../../src/api/first-superuser.ts";
import { DomainError } from "../../src/domain/error.ts";
import { ManualClock } from "../../src/lib/clock.ts";

const email = "root@example.com";
const away = (why: string) => new DomainError("unavailable", why);

async function settled(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
}

/** Its tries end as listed, then for ever as the last of the list. */
function firstSuperuser(...ends: (Error | boolean)[]) {
  const clock = new ManualClock();
  const said: string[] = [];
  let tries = 0;
  const service = new FirstSuperuser({
    email,
    async ensure() {
      tries += 1;
      const end = (ends.length > 1 ? ends.shift() : ends[0]) ?? true;
      await Promise.resolve();
      if (end instanceof Error) throw end;
      return end;
    },
    clock,
    observe: (name, fields) =>
      void said.push(`${name} ${"error" in fields ? fields.error : ""}`.trim().replace(" (unavailable)", "")),
  });
  const seconds = async (count: number) => {
    for (let second = 0; second < count; second += 1) {
      clock.advance(1_000);
      await settled();
    }
  };
  return { service, said, seconds, tries: () => tries };
}

test("is there when the start has returned, where Postgres answers", async () => {
  const { service, said } = firstSuperuser(true);
  await service.start();
  expect(said).toEqual(["superuser.created"]);
});

test("one that was there before is no news", async () => {
  const { service, said, seconds, tries } = firstSuperuser(false);
  await service.start();
  await seconds(5);
  expect([said, tries()]).toEqual([[], 1]);
});

test("is made once Postgres is back; that it is away is said once", async () => {
  const { service, said, seconds, tries } = firstSuperuser(away("refused"), away("no answer"), away("refused"), true);
  await service.start();
  await seconds(2);
  expect(said).toEqual(["superuser.failed refused"]);
  await seconds(5);
  expect(said).toEqual(["superuser.failed refused", "superuser.created"]);
  expect(tries()).toBe(4);
});

test("is made once somebody has migrated the database", async () => {
  const missing = Object.assign(new Error('relation "users" does not exist'), { code: "42P01" });
  const { service, said, seconds } = firstSuperuser(missing, missing, true);
  await service.start();
  await seconds(5);
  expect(said).toEqual([`superuser.failed ${missing.message} (42P01)`, "superuser.created"]);
});

test("what is wrong besides that fails the start, or is said when it shows later", async () => {
  const mistake = new Error("permission denied for table users");
  const { service } = firstSuperuser(mistake);
  expect(await service.start().catch(String)).toBe(`Error: FIRST_SUPERUSER could not be made: ${mistake.message}`);
  const { service: later, said, seconds } = firstSuperuser(away("refused"), mistake);
  await later.start();
  await seconds(3);
  expect(said).toEqual(["superuser.failed refused", `superuser.failed ${mistake.message}`]);
});

test("after a stop it is not tried again, and nothing is said", async () => {
  const { service, said, seconds, tries } = firstSuperuser(away("refused"), away("refused"), new Error("closed"));
  await service.start();
  await service.stop();
  await seconds(3);
  expect(tries()).toBe(1);
  expect(said).toEqual(["superuser.failed refused"]);

  const stopped = firstSuperuser(new Error("closed"));
  const starting = stopped.service.start();
  await stopped.service.stop();
  await starting;
  expect([stopped.said, stopped.tries()]).toEqual([[], 1]);
});
