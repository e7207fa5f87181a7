// The API's port: one that was asked for, or the first free one from the default on.

import { type Environment, SETTINGS } from "../config.ts";
import { isPortFree, nextFreePort } from "./ports.ts";

/** Throws if PORT is set and taken. */
export async function chooseApiPort(env: Environment, port: number, host: string): Promise<number> {
  const isGiven = (env[SETTINGS.port.name] ?? "").trim() !== "";
  if (!isGiven) return nextFreePort(port, host);
  if (await isPortFree(port, host)) return port;
  throw new Error(`PORT=${port}: something listens on ${host}:${port} already, or we may not. Set another PORT.`);
}
