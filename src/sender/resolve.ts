// From a host to the addresses to connect to: looked up without blocking anybody, vetted, and remembered for a while.
//
// Only c-ares is asked: its lookups are asynchronous, while getaddrinfo's threads are few, and a hundred names whose
// servers never answer would hold up everybody's. It reads /etc/hosts too, which changes nothing: whatever it answers
// is judged, all of it, and one address that may not be reached refuses the name.

import { RESOLVE_CACHE_MS, RESOLVE_TIMEOUT_MS, RESOLVES_IN_FLIGHT_PER_USER_MAX } from "../domain/limits.ts";
import type { Clock } from "../lib/clock.ts";
import { TtlCache } from "../lib/ttl-cache.ts";
import { type AddressGuard, isAddressLiteral, type Judgement } from "./address.ts";
import { PerUserLimit } from "../lib/per-user-limit.ts";

/** The addresses of a name. Rejects, with the resolver's code, when there are none. */
export type Lookup = (name: string) => Promise<readonly string[]>;

export type Resolution =
  /** At least one and at most two, IPv4 first. */
  { kind: "resolved"; addresses: readonly string[] } | { kind: "blocked" | "unresolvable" | "timeout"; reason: string };

export type Resolver = {
  /** What is known of `host` just now, without asking anybody. */
  known(host: string): Resolution | undefined;
  /** Never rejects. A call whose time has passed while it waited for its user's turn asks nobody. */
  resolve(host: string, userId: string, time: { readonly hasPassed: boolean }): Promise<Resolution>;
};

export type ResolverOptions = { clock: Clock; guard: AddressGuard; lookup?: Lookup | undefined };

/** Hosts remembered by one process; a few hundred bytes each. */
const HOSTS_CACHED_MAX = 20_000;
const ADDRESSES_TRIED_MAX = 2;

export function createResolver({ clock, guard, lookup = lookupByCAres }: ResolverOptions): Resolver {
  const cache = new TtlCache<string, Resolution>({ clock, ttlMs: RESOLVE_CACHE_MS, entriesMax: HOSTS_CACHED_MAX });
  const underWay = new Map<string, Promise<Resolution>>();
  const limit = new PerUserLimit(RESOLVES_IN_FLIGHT_PER_USER_MAX);

  function known(host: string): Resolution | undefined {
    const cached = cache.get(host);
    if (cached !== undefined) return cached;
    const vetted = isAddressLiteral(host)
      ? vet(host, [guard.judge(host)])
      : isLocalhost(host)
        ? vetLocalhost()
        : undefined;
    if (vetted !== undefined) cache.set(host, vetted);
    return vetted;
  }

  function vetLocalhost(): Resolution {
    const judgements = ["127.0.0.1", "::1"].map((address) => guard.judge(address));
    // Both are this machine, and nobody else chose them: the one that is allowed will do.
    const allowed = judgements.filter((judgement) => judgement.kind === "allowed");
    return vet("localhost", allowed.length > 0 ? allowed : judgements);
  }

  async function ask(name: string): Promise<Resolution> {
    let timer: { cancel(): void } | undefined;
    const late = new Promise<Resolution>((resolve) => {
      timer = clock.after(RESOLVE_TIMEOUT_MS, () =>
        resolve({ kind: "timeout", reason: `the name servers of ${name} did not answer in time` }),
      );
    });
    const answer = lookup(name).then(
      (addresses) =>
        vet(
          name,
          [...new Set(addresses)].map((address) => guard.judge(address)),
        ),
      (error: unknown) => unresolvable(name, error),
    );
    const resolution = await Promise.race([answer, late]);
    timer?.cancel();
    cache.set(name, resolution);
    return resolution;
  }

  /** One lookup of a name at a time, whoever asks. */
  function shared(name: string): Promise<Resolution> {
    const asked = underWay.get(name) ?? ask(name).finally(() => underWay.delete(name));
    underWay.set(name, asked);
    return asked;
  }

  return {
    known,
    async resolve(host, userId, time) {
      const atHand = known(host) ?? underWay.get(host);
      if (atHand !== undefined) return atHand;
      return limit.run(userId, async () => {
        if (time.hasPassed) return { kind: "timeout", reason: `too many names were being looked up before ${host}` };
        return known(host) ?? shared(host);
      });
    },
  };
}

function vet(host: string, judgements: readonly Judgement[]): Resolution {
  const refused = judgements.find((judgement) => judgement.kind === "refused");
  if (refused !== undefined) {
    const reason = isAddressLiteral(host)
      ? refused.reason
      : `${host} resolves to an address that may not be reached: ${refused.reason}`;
    return { kind: "blocked", reason };
  }
  const allowed = judgements
    .filter((judgement) => judgement.kind === "allowed")
    .toSorted((a, b) => a.family - b.family);
  if (allowed.length === 0) return { kind: "unresolvable", reason: `the name ${host} has no address` };
  return { kind: "resolved", addresses: allowed.slice(0, ADDRESSES_TRIED_MAX).map(({ address }) => address) };
}

/** RFC 6761, section 6.3: always this machine, and never a question for a name server. */
function isLocalhost(host: string): boolean {
  return host === "localhost" || host.endsWith(".localhost");
}

/** Bun hands names that end in .local to getaddrinfo, unless they end in a dot. */
const lookupByCAres: Lookup = async (name) => {
  const found = await Bun.dns.lookup(name.endsWith(".local") ? `${name}.` : name, { backend: "c-ares" });
  return found.map(({ address }) => address);
};

const NO_ADDRESS = new Set(["DNS_ENOTFOUND", "DNS_ENODATA", "DNS_EBADNAME", "ENOTFOUND"]);

function unresolvable(name: string, error: unknown): Resolution {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (NO_ADDRESS.has(code)) return { kind: "unresolvable", reason: `the name ${name} has no address` };
  if (code === "DNS_ETIMEOUT") return { kind: "timeout", reason: `the name servers of ${name} did not answer in time` };
  return { kind: "unresolvable", reason: `the name ${name} could not be looked up just now` };
}
