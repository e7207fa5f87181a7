// One way to leave for every command: SIGTERM, SIGINT and SIGHUP are the same (but for nohup), and so is a launcher that
// is gone. Under npx one Ctrl-C arrives as two signals, so only a second one a while later means impatience. Who leaves
// because its launcher is gone has not been asked yet: the next start asks it once, and is not impatient.

import type { Clock } from "../lib/clock.ts";
import { findLaunchers, watchLaunchers } from "./launcher.ts";
import { isNohup } from "./processes.ts";

const IMPATIENT_AFTER_MS = 1_000;

export type ExitSignals = {
  clock: Clock;
  /** Called once. */
  onExit: () => void;
  /** Called at every further signal that comes a second or more after the first. */
  onImpatience: () => void;
};

export function watchExitSignals({ clock, onExit, onImpatience }: ExitSignals): void {
  let firstAt: number | undefined;
  const leave = (): void => {
    if (firstAt === undefined) {
      firstAt = clock.monotonic();
      onExit();
    } else if (clock.monotonic() - firstAt >= IMPATIENT_AFTER_MS) onImpatience();
  };
  let isUnasked = false;
  const launcherGone = (): void => {
    isUnasked = firstAt === undefined;
    leave();
  };
  const asked = (): void => {
    if (isUnasked) firstAt = clock.monotonic();
    else leave();
    isUnasked = false;
  };
  const launchers = findLaunchers();
  process.on("SIGTERM", asked);
  process.on("SIGINT", asked);
  process.on("SIGHUP", isNohup() ? () => {} : asked);
  // Under a supervisor its end closes the channel to us; otherwise whoever launched us counts.
  if (process.connected) process.on("disconnect", launcherGone);
  else watchLaunchers(launchers, launcherGone);
}
