// The one place where Fairpost opens a connection to a stranger: to an address that was vetted, never to a name, so
// that what was judged is what is reached. The Host header and the certificate's check still use the name.

import type { WebhookUrl } from "../domain/webhook.ts";
import { type Clock, sleep } from "../lib/clock.ts";
import { isAddressLiteral } from "./address.ts";
import type { AnswerHead } from "./answer-head.ts";
import type { AnswerReader } from "./answer-reader.ts";
import { type Body, bodyOf } from "./answer.ts";
import { Connection, hungUp, type Place } from "./connection.ts";
import { Connections } from "./connections.ts";
import type { Deadline } from "./deadline.ts";
import { type Failure, failureOf, hasNeverConnected, isOutOfDescriptors, seconds } from "./failure.ts";

export type Answered = { kind: "answered"; head: AnswerHead; body: Body };

export type Posted =
  | Answered
  | { kind: "failed"; failure: Failure }
  /** Not begun: the permission to start was gone, or the process has no descriptor left. */
  | { kind: "withheld" };

export type Post = (
  url: WebhookUrl,
  addresses: readonly string[],
  message: string,
  deadline: Deadline,
  mayStart: () => boolean,
) => Promise<Posted>;

/**
 * A receiver ends an idle connection when it pleases, perhaps while a request is on its way to it, which it then never
 * reads. So what ends this soon, without a byte of an answer, is sent once more on a new connection. Had it been read
 * all the same, webhook-id would tell (RFC 9110, section 9.2.2, on requests that are known to be idempotent).
 */
const STALE_WITHIN_MS = 1_000;

/** For so long after the process had no descriptor left, what never connected may be its own fault. */
const EXHAUSTED_PAUSE_MS = 1_000;

/** Makes one request, and reads the answer within bounds. `message`: head and body, as they are to be sent. */
export function createPost(clock: Clock, onOutOfDescriptors: () => void = () => {}): Post {
  const connections = new Connections(clock);
  let exhaustedAt = Number.NEGATIVE_INFINITY;

  function noticeDescriptors(): void {
    if (!isOutOfDescriptors()) return;
    exhaustedAt = clock.monotonic();
    connections.makeRoom();
    onOutOfDescriptors();
  }

  /** `isUnread`: as if the receiver had ended the connection before it saw the request. */
  async function exchange(connection: Connection, message: string, deadline: Deadline) {
    deadline.whenPassed(() => connection.close());
    const startedAt = clock.monotonic();
    const { reader, error } = await connection.exchange(message);
    const posted = postedBy(reader, error, deadline);
    if (reader.isReusable) connections.keep(connection, reader.head?.keptAliveS ?? null);
    return { posted, isUnread: reader.isUntouched && clock.monotonic() - startedAt < STALE_WITHIN_MS };
  }

  return async (url, addresses, message, deadline, mayStart) => {
    let failure: Failure = { stage: "connect", error: "there is no address to connect to" };
    for (const address of addresses) {
      const place = placeOf(url, address);
      // With nothing between the question and the request.
      if (!mayStart()) return { kind: "withheld" };
      const kept = connections.take(place);
      if (kept !== undefined) {
        const { posted, isUnread } = await exchange(kept, message, deadline);
        if (!isUnread || deadline.hasPassed) return posted;
        if (!mayStart()) return { kind: "withheld" };
      }
      const connection = new Connection(place);
      noticeDescriptors();
      deadline.whenPassed(() => connection.close());
      const error = await connection.opened();
      // A process that was frozen meanwhile sees the open connection before its timers.
      if (deadline.hasPassed) {
        connection.close();
        return noAnswer(deadline);
      }
      if (error === null) return (await exchange(connection, message, deadline)).posted;
      failure = failureOf(error);
      // The next address is tried only if this one took no connection.
      if (!hasNeverConnected(error)) break;
      noticeDescriptors();
      if (clock.monotonic() - exhaustedAt < EXHAUSTED_PAUSE_MS) {
        // Nobody knows whose fault it was. It holds its slot meanwhile: so many requests at once are too many.
        await deadline.within(sleep(clock, EXHAUSTED_PAUSE_MS));
        return { kind: "withheld" };
      }
    }
    return failed(failure);
  };
}

/** Of each URL the place that was made last: the same one again and again. */
const places = new WeakMap<WebhookUrl, Place>();

function placeOf(url: WebhookUrl, address: string): Place {
  let place = places.get(url);
  if (place?.address === address) return place;
  place = makePlace(url, address);
  places.set(url, place);
  return place;
}

/** Two names at one address share nothing: a proxy may have bound the connection to the name that it saw first. */
function makePlace({ scheme, host, port }: WebhookUrl, address: string): Place {
  const key = `${scheme} ${address} ${port} ${host}`;
  if (scheme === "http") return { key, address, port };
  // An address in the URL has no name to send: the certificate is checked against the address itself.
  const serverName = isAddressLiteral(host) ? null : host;
  return { key, address, port, serverName };
}

function postedBy(reader: AnswerReader, error: Error | null, deadline: Deadline): Posted {
  if (reader.head !== undefined) return { kind: "answered", head: reader.head, body: bodyOf(reader) };
  if (deadline.hasPassed) return noAnswer(deadline);
  return failed(reader.fault === null ? failureOf(error ?? hungUp()) : { stage: "connect", error: reader.fault });
}

function failed(failure: Failure): Posted {
  return { kind: "failed", failure };
}

function noAnswer(deadline: Deadline): Posted {
  return failed({ stage: "timeout", error: `no answer within ${seconds(deadline.timeoutMs)}` });
}
