// The address guard: only public addresses may be reached, and those that the operator's allow-list names. An address
// is judged as what it is, however it is written: ::ffff:127.0.0.1 is 127.0.0.1, in a URL, a DNS answer or the list.

import ipaddr from "ipaddr.js";
import { parseAddress, parseNetwork } from "../lib/network.ts";

type Address = ipaddr.IPv4 | ipaddr.IPv6;
type Network = [Address, number];

export type Judgement =
  /** `address` is what to connect to: the plain form of what was asked. */
  | { kind: "allowed"; address: string; family: 4 | 6 }
  /** `reason` is a sentence's end for the webhook's owner: "10.0.0.1 is a private address". */
  | { kind: "refused"; reason: string };

export type AddressGuard = { judge(address: string): Judgement };

/** Throws for an entry of `allow` that is no network. */
export function createAddressGuard(allow: readonly string[]): AddressGuard {
  const allowed = allow.map((text): Network => {
    const network = parseNetwork(text);
    if (network === undefined) throw new Error(`${JSON.stringify(text)} is neither a CIDR nor an IP address`);
    return [ipaddr.parse(network.address), network.bits];
  });
  return {
    judge(text) {
      const plain = parseAddress(text);
      if (plain === undefined) return { kind: "refused", reason: `${JSON.stringify(text)} is not a valid IP address` };
      const address = ipaddr.parse(plain);
      const isAllowed = allowed.some(([base, bits]) => base.kind() === address.kind() && address.match(base, bits));
      const what = isAllowed ? undefined : unpublicKind(address);
      if (what !== undefined) return { kind: "refused", reason: `${plain} is ${what}` };
      return { kind: "allowed", address: plain, family: address.kind() === "ipv4" ? 4 : 6 };
    },
  };
}

/** Whether a URL's host is an address: by now IPv4 is in dotted decimals, whatever was written, and no name has a colon. */
export function isAddressLiteral(host: string): boolean {
  return host.includes(":") || /^\d+\.\d+\.\d+\.\d+$/.test(host);
}

/** Azure's platform services answer here, on an address that looks public. */
const AZURE_PLATFORM = "168.63.129.16";

/** All that is assigned to the public Internet (RFC 4291; IANA's registry): what is outside is never public. */
const GLOBAL_UNICAST: [ipaddr.IPv6, number] = [ipaddr.IPv6.parse("2000::"), 3];

/** Well-known NAT64 (RFC 6052): with DNS64, every public IPv4 receiver has such an address. Public if the IPv4 is. */
const NAT64: [ipaddr.IPv6, number] = [ipaddr.IPv6.parse("64:ff9b::"), 96];

/** What kind of address that may not be reached it is, in words; undefined for a public one. */
function unpublicKind(address: Address): string | undefined {
  if (address instanceof ipaddr.IPv6) {
    if (address.match(NAT64)) {
      const inner = new ipaddr.IPv4(address.toByteArray().slice(12));
      const what = unpublicKind(inner);
      return what === undefined ? undefined : `the NAT64 form of ${inner.toString()}, ${what}`;
    }
    if (address.range() === "unicast" && !address.match(GLOBAL_UNICAST)) return "not a public address";
  } else if (address.toString() === AZURE_PLATFORM) return "a cloud platform's own address";
  const range = address.range();
  return range === "unicast" ? undefined : (WORDS[range] ?? "a reserved address");
}

const WORDS: Record<string, string> = {
  loopback: "a loopback address",
  private: "a private address",
  uniqueLocal: "a private address",
  carrierGradeNat: "a carrier-grade NAT address",
  linkLocal: "a link-local address",
  multicast: "a multicast address",
  broadcast: "a broadcast address",
  unspecified: "an unspecified address",
  "6to4": "a 6to4 tunnel address",
  teredo: "a Teredo tunnel address",
};
