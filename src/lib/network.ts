// Addresses and networks as text. An address is what it is, however it is written: ::ffff:127.0.0.1 is 127.0.0.1. Without a
// package, because the settings are read before any is installed.

import { isIPv4 } from "node:net";

const IPV4_MAPPED = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/;
const IPV4_MAPPED_BITS = 96;

/** IPv4 in dotted decimals, or IPv6 as the URL standard writes it; mapped IPv4 comes out as IPv4. */
export function parseAddress(text: string): string | undefined {
  if (!text.includes(":")) return isIPv4(text) ? text : undefined;
  if (!/^[0-9a-f:.]+$/i.test(text)) return undefined;
  // The URL parser knows ::8.8.8.8 for what it is; ipaddr.js takes it for the mapped address.
  const host = URL.parse(`http://[${text}]/`)?.hostname.slice(1, -1);
  const mapped = IPV4_MAPPED.exec(host ?? "");
  if (mapped === null) return host;
  return mapped
    .slice(1)
    .map((group) => Number.parseInt(group, 16))
    .flatMap((pair) => [pair >> 8, pair & 0xff])
    .join(".");
}

/** A CIDR, or an address for itself alone. */
export function parseNetwork(text: string): { address: string; bits: number } | undefined {
  const [, base = "", bitsText] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const address = parseAddress(base);
  if (address === undefined) return undefined;
  const bitsMax = isIPv4(address) ? 32 : 128;
  if (bitsText === undefined) return { address, bits: bitsMax };
  const wasMapped = isIPv4(address) && base.includes(":");
  const bits = Number(bitsText) - (wasMapped ? IPV4_MAPPED_BITS : 0);
  return bits >= 0 && bits <= bitsMax ? { address, bits } : undefined;
}
