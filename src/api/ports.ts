// What the API needs of the rest of Fairpost, handed in by app.ts.

import type { Database } from "../db/database.ts";
import type { UserId, WebhookId } from "../domain/ids.ts";
import type { Cipher } from "../lib/cipher.ts";
import type { Clock } from "../lib/clock.ts";
import type { Passwords } from "../lib/password.ts";
import type { Observe } from "../observe/catalogue.ts";
import type { Acceptance } from "../publish/acceptance.ts";

/** Whether deliveries may go to a URL; `why` is for its owner to read. */
type TargetVerdict = { ok: true } | { ok: false; why: string };

type ApiSettings = {
  jwtSecret: string;
  /** `closed`: only a superuser creates users. */
  registration: "open" | "closed";
  version: string;
};

export type ApiDeps = {
  db: Database;
  acceptance: Acceptance;
  passwords: Passwords;
  /** Signing secrets at rest, each bound to its webhook's id. */
  cipher: Cipher;
  clock: Clock;
  observe: Observe;
  settings: ApiSettings;
  checkTarget(url: string, userId: UserId): Promise<TargetVerdict>;
  readiness: { postgres(): Promise<boolean>; nats(): Promise<boolean> };
  /** Prometheus text. */
  metrics(): string | Promise<string>;
  /** Tells the workers to forget what they remember of a webhook. */
  onWebhookChanged(webhookId: WebhookId): void;
};
