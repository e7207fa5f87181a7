// The API's port: one that was asked for, or the first free one from the default on.

import { type Environment, SETTINGS } from "../config.ts";
import { isPortFree, nextFreePort } from "./ports.ts";

/** Throws if HOST is not ours, or PORT is set and taken. */
export async function chooseApiPort(env: Environment, port: number, host: string): Promise<number> {
  const isFree = await isPortFree(port, host).catch((error: unknown) => {
    throw new Error(`HOST=${host}: ${(error as Error).message}. Set it to one, or to 0.0.0.0 for all of them.`);
  });
  if (isFree) return port;
  const isGiven = (env[SETTINGS.port.name] ?? "").trim() !== "";
  if (!isGiven) return nextFreePort(port + 1, host);
  throw new Error(`PORT=${port}: something listens on ${host}:${port} already, or we may not. Set another PORT.`);
}
