import { expect, test } from "bun:test";
import { KeptNote } from "../../src/dev/kept-note.ts";
import { ManualClock } from "../../src/lib/clock.ts";

function keepNote() {
  const clock = new ManualClock();
  const said: string[] = [];
  const disk = { isFull: false, writes: 0 };
  const write = () => {
    if (disk.isFull) throw new Error("ENOSPC");
    disk.writes += 1;
  };
  return { clock, said, disk, note: new KeptNote({ clock, name: "note", write, say: (line) => said.push(line) }) };
}

test("what cannot be written is said once and tried again until it can", () => {
  const { clock, said, disk, note } = keepNote();
  disk.isFull = true;
  note.update();
  note.update();
  clock.advance(60_000);
  expect(said).toEqual(["note could not be written, and is out of date until it can be (ENOSPC)"]);
  disk.isFull = false;
  clock.advance(2_000);
  expect(said.at(-1)).toBe("note is up to date again");
  clock.advance(60_000);
  expect(disk.writes).toBe(1);
  disk.isFull = true;
  note.update();
  expect(said).toHaveLength(3);
});

test("the next change writes it, too", () => {
  const { clock, disk, note } = keepNote();
  disk.isFull = true;
  note.update();
  disk.isFull = false;
  note.update();
  clock.advance(60_000);
  expect(disk.writes).toBe(1);
});

test("a closed one is left as it is", () => {
  const { clock, disk, note } = keepNote();
  disk.isFull = true;
  note.update();
  note.close();
  disk.isFull = false;
  clock.advance(60_000);
  expect(disk.writes).toBe(0);
});
