// Fairpost's public API, as far as the generator uses it.

import { type Clock, sleep } from "../lib/clock.ts";

const API = "/api/v1";
const READY_POLL_MS = 100;

export type NewWebhook = { url: string; events: string[]; secret: string };

export class ApiClient {
  readonly url: string;

  constructor(url: string) {
    this.url = url.replace(/\/+$/, "");
  }

  /** Asks until it is there and ready; throws what the last answer was when it still is not after `patienceMs`. */
  async waitUntilReady(clock: Clock, patienceMs: number): Promise<void> {
    const deadline = clock.monotonic() + patienceMs;
    for (;;) {
      try {
        await this.#ask("GET /ready", `${this.url}/ready`, {});
        return;
      } catch (error) {
        if (clock.monotonic() >= deadline) throw error;
      }
      await sleep(clock, READY_POLL_MS);
    }
  }

  /** Creates an account and signs in. Returns the value of its Authorization header. */
  async signUp(email: string, password: string): Promise<string> {
    await this.#askJson("POST /users/signup", `${API}/users/signup`, { email, password });
    const body = new URLSearchParams({ username: email, password });
    const answer = await this.#ask("POST /login/access-token", `${this.url}${API}/login/access-token`, {
      method: "POST",
      body,
    });
    return `Bearer ${(JSON.parse(answer) as { access_token: string }).access_token}`;
  }

  async createWebhook(authorization: string, webhook: NewWebhook): Promise<void> {
    await this.#askJson("POST /webhooks", `${API}/webhooks`, webhook, authorization);
  }

  async deleteAccount(authorization: string): Promise<void> {
    await this.#ask("DELETE /users/me", `${this.url}${API}/users/me`, { method: "DELETE", headers: { authorization } });
  }

  metrics(): Promise<string> {
    return this.#ask("GET /metrics", `${this.url}/metrics`, {});
  }

  /** The hot path: `body` is JSON text, and the answer is the caller's to judge. Rejects when there is none. */
  async post(path: string, authorization: string, body: string): Promise<{ status: number; text: string }> {
    const response = await fetch(`${this.url}${API}${path}`, {
      method: "POST",
      headers: { authorization, "content-type": "application/json" },
      body,
    });
    return { status: response.status, text: await response.text() };
  }

  /** The same without a body. */
  async get(path: string, authorization: string): Promise<{ status: number; text: string }> {
    const response = await fetch(`${this.url}${API}${path}`, { headers: { authorization } });
    return { status: response.status, text: await response.text() };
  }

  #askJson(what: string, path: string, body: unknown, authorization?: string): Promise<string> {
    return this.#ask(what, `${this.url}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...(authorization === undefined ? {} : { authorization }) },
      body: JSON.stringify(body),
    });
  }

  async #ask(what: string, url: string, init: RequestInit): Promise<string> {
    const response = await fetch(url, init);
    const text = await response.text();
    if (!response.ok) throw new Error(`${what}: ${response.status} ${text.slice(0, 300)}`);
    return text;
  }
}
