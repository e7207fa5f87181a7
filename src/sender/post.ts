// The one place where Fairpost opens a connection to a stranger: to an address that was vetted, never to a name, so
// that what was judged is what is reached. The Host header and the certificate's check still use the name.

import type { WebhookUrl } from "../domain/webhook.ts";
import { isAddressLiteral } from "./address.ts";
import type { Deadline } from "./deadline.ts";
import { type Failure, failureOf, hasNeverConnected, seconds } from "./failure.ts";

export type Posted =
  | { kind: "answered"; response: Response }
  | { kind: "failed"; failure: Failure }
  /** Not begun: the permission to start was gone. */
  | { kind: "withheld" };

/** Tries the next of `addresses` only if the one before accepted no connection, so one request is sent at most. */
export async function post(
  url: WebhookUrl,
  addresses: readonly string[],
  headers: Record<string, string>,
  body: string,
  deadline: Deadline,
  mayStart: () => boolean,
): Promise<Posted> {
  const init: BunFetchRequestInit = {
    method: "POST",
    headers,
    body,
    redirect: "manual",
    decompress: false,
    signal: deadline.signal,
  };
  // An address in the URL has no name to send: the certificate is checked against the address itself.
  if (url.scheme === "https" && !isAddressLiteral(url.host)) init.tls = { serverName: url.host };
  let failure: Failure = { stage: "connect", error: "there is no address to connect to" };
  for (const address of addresses) {
    // With nothing between the question and the request.
    if (!mayStart()) return { kind: "withheld" };
    try {
      return { kind: "answered", response: await fetch(dialled(url, address), init) };
    } catch (error) {
      if (deadline.hasPassed) return { kind: "failed", failure: noAnswer(deadline) };
      failure = failureOf(error);
      if (!hasNeverConnected(error)) break;
    }
  }
  return { kind: "failed", failure };
}

function dialled({ scheme, port, path }: WebhookUrl, address: string): string {
  const host = address.includes(":") ? `[${address}]` : address;
  return `${scheme}://${host}:${port}${path}`;
}

function noAnswer(deadline: Deadline): Failure {
  return { stage: "timeout", error: `no answer within ${seconds(deadline.timeoutMs)}` };
}
