// One attempt: read the URL, find and vet its addresses, sign, POST to an address that was vetted, read the answer.
// Whatever a receiver, its name servers or a webhook's settings do becomes an Outcome; nothing is thrown.

import type { Answer, Outcome } from "../domain/outcome.ts";
import { outcomeOfAnswer } from "../domain/outcome.ts";
import { RESOLVE_TIMEOUT_MS } from "../domain/limits.ts";
import { retryAfterMs } from "../domain/retry-after.ts";
import { type Checked, checkWebhookUrl, type WebhookUrl } from "../domain/webhook.ts";
import type { Clock } from "../lib/clock.ts";
import { TtlCache } from "../lib/ttl-cache.ts";
import { createAddressGuard } from "./address.ts";
import { type Answered, createPost } from "./post.ts";
import { type Deadline, Deadlines } from "./deadline.ts";
import { type Failure, seconds } from "./failure.ts";
import { createResolver, type Lookup, type Resolution } from "./resolve.ts";
import { requestMessage } from "./request.ts";

export type SendRequest = {
  url: string;
  /** The webhook's custom headers. */
  headers: Readonly<Record<string, string>>;
  /** Live secrets, `whsec_...`; the body is signed with each. */
  secrets: readonly string[];
  eventId: string;
  userId: string;
  /** Signed and sent byte for byte. */
  payload: string;
  /** For the whole attempt: name, connection, headers and body. */
  timeoutMs: number;
  /** Asked right before a connection is used: false withholds the request. */
  mayStart?: () => boolean;
};

/** `why` is for the webhook's owner to read. */
export type TargetVerdict = { ok: true } | { ok: false; why: string };

export type Sender = {
  /** Makes one attempt; undefined when it could not be begun: withheld by `mayStart`, or no descriptor. Never rejects. */
  send(request: SendRequest): Promise<Outcome | undefined>;
  /** For registration: may this URL be reached? One whose name does not resolve just now may. */
  checkTarget(url: string, userId: string): Promise<TargetVerdict>;
};

export type SenderOptions = {
  clock: Clock;
  /** Fairpost's own version, for the header user-agent. */
  version: string;
  /** Networks that may be reached although they are not public: CIDRs or addresses. */
  egressAllow: readonly string[];
  /** The process has no descriptor left for a connection; told for each that is not begun. */
  onOutOfDescriptors?: () => void;
  /** In place of DNS, for tests. */
  lookup?: Lookup;
};

const URL_REMEMBERED_MS = 10 * 60_000;
const URLS_MAX = 20_000;

type Ending =
  | { kind: "answered"; answer: Answer }
  | { kind: "failed"; failure: Failure; answer: Answer | null }
  | { kind: "withheld" };

/** Throws for a faulty `egressAllow`. */
export function createSender({ clock, version, egressAllow, onOutOfDescriptors, lookup }: SenderOptions): Sender {
  const post = createPost(clock, onOutOfDescriptors);
  const deadlines = new Deadlines(clock);
  const resolver = createResolver({ clock, guard: createAddressGuard(egressAllow), lookup });
  const userAgent = `Fairpost/${version}`;

  /** Parsing takes a tenth of an attempt, and endpoints are sent to again and again. */
  const urls = new TtlCache<string, Checked<WebhookUrl>>({ clock, ttlMs: URL_REMEMBERED_MS, entriesMax: URLS_MAX });
  function readUrl(text: string): Checked<WebhookUrl> {
    const known = urls.get(text);
    if (known !== undefined) return known;
    const read = checkWebhookUrl(text);
    urls.set(text, read);
    return read;
  }

  async function attempt(request: SendRequest, deadline: Deadline): Promise<Ending> {
    const url = readUrl(request.url);
    if (!url.ok) return failed({ stage: "webhook", error: `the URL ${url.fault}` });
    // A name that is known costs no wait.
    const resolution = resolver.known(url.value.host) ?? (await resolve(url.value, request.userId, deadline));
    if (resolution.kind !== "resolved") return failed({ stage: STAGES[resolution.kind], error: resolution.reason });
    const message = requestMessage(request, url.value, userAgent, clock.now());
    if (!message.ok) return failed({ stage: "webhook", error: message.fault });
    const mayStart = request.mayStart ?? (() => true);
    const posted = await post(url.value, resolution.addresses, message.value, deadline, mayStart);
    switch (posted.kind) {
      case "withheld":
        return posted;
      case "failed":
        return failed(posted.failure);
      case "answered":
        return answered(posted, deadline);
    }
  }

  /** Waits for the name no longer than the attempt lasts. */
  async function resolve(url: WebhookUrl, userId: string, deadline: Deadline): Promise<Resolution> {
    const found = await deadline.within(resolver.resolve(url.host, userId, deadline));
    return (
      found ?? { kind: "timeout", reason: `looking up ${url.host} took longer than ${seconds(deadline.timeoutMs)}` }
    );
  }

  function answered({ head, body }: Answered, deadline: Deadline): Ending {
    const isSuccess = head.statusCode >= 200 && head.statusCode < 300;
    const answer = {
      statusCode: head.statusCode,
      responseBody: body.text,
      retryAfterMs: isSuccess ? null : retryAfterMs(head.retryAfter, clock.now()),
    };
    // A success is believed when its body has come to an end too, or is longer than is read. Anything else is a failure
    // whose status says more than how its body ended.
    if (!isSuccess || body.end !== "broken") return { kind: "answered", answer };
    const failure: Failure = deadline.hasPassed
      ? { stage: "timeout", error: `the answer's body did not end within ${seconds(deadline.timeoutMs)}` }
      : { stage: "connect", error: body.fault ?? "the connection broke before the answer's body ended" };
    return { kind: "failed", failure, answer };
  }

  return {
    async send(request) {
      const deadline = deadlines.after(request.timeoutMs);
      const ending = await attempt(request, deadline);
      deadline.end();
      const latencyMs = Math.round(clock.monotonic() - deadline.startedAt);
      if (ending.kind === "withheld") return undefined;
      if (ending.kind === "answered") return outcomeOfAnswer(ending.answer, latencyMs);
      return { kind: "failed", ...ending.failure, answer: ending.answer, latencyMs };
    },

    async checkTarget(text, userId) {
      const url = checkWebhookUrl(text);
      if (!url.ok) return { ok: false, why: `the URL ${url.fault}` };
      const deadline = deadlines.after(RESOLVE_TIMEOUT_MS);
      const resolution = await resolve(url.value, userId, deadline);
      deadline.end();
      return resolution.kind === "blocked" ? { ok: false, why: resolution.reason } : { ok: true };
    },
  };
}

const STAGES = { blocked: "blocked", unresolvable: "resolve", timeout: "timeout" } as const;

function failed(failure: Failure): Ending {
  return { kind: "failed", failure, answer: null };
}
