// What Linux says of a process in one line: /proc/<pid>/stat (proc(5)).

import { readFileSync } from "node:fs";

export type ProcessStat = {
  /** The command's name, 15 characters at most. */
  name: string;
  /** `R`, `S`, ...; `Z` and `X` have ended. */
  state: string;
  parentPid: number;
  /** User and system time, in clock ticks. */
  cpuTicks: number;
  /** That of children which have ended and been waited for. */
  childrenTicks: number;
  /** Since boot. A number that is reused has another one. */
  startTicks: string;
};

/** Undefined where there is no such process, or no telling. */
export function statOf(pid: number): ProcessStat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    // Fields are counted behind the name in parentheses, which may hold spaces and parentheses: the first one is number 3.
    const [nameBegin, nameEnd] = [text.indexOf("(") + 1, text.lastIndexOf(")")];
    const fields = text.slice(nameEnd + 2).split(" ");
    const field = (number: number): string => fields[number - 3] as string;
    if (fields.length < 20) return undefined;
    return {
      name: text.slice(nameBegin, nameEnd),
      state: field(3),
      parentPid: Number(field(4)),
      cpuTicks: Number(field(14)) + Number(field(15)),
      childrenTicks: Number(field(16)) + Number(field(17)),
      startTicks: field(22),
    };
  } catch {
    return undefined;
  }
}
