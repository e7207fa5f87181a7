import { expect, test } from "bun:test";
import { parseAddress, parseNetwork } from "../../src/lib/network.ts";

test.each([
  ["192.0.2.1", "192.0.2.1"],
  ["2001:DB8:0::0001", "2001:db8::1"],
  ["::ffff:192.0.2.1", "192.0.2.1"],
  ["::FFFF:c000:201", "192.0.2.1"],
  ["0:0:0:0:0:ffff:0:5", "0.0.0.5"],
  // Not mapped, though it looks alike.
  ["::192.0.2.1", "::c000:201"],
  ["::ffff:0:192.0.2.1", "::ffff:0:c000:201"],
])("%s is the address %s", (text, address) => {
  expect(parseAddress(text)).toBe(address);
});

test.each(["", "localhost", "1.2.3", "1.2.3.4.5", "01.2.3.4", "1.2.3.256", "0x7f000001", "::g", "[::1]", "fe80::1%lo"])(
  "%p is no address, and no network",
  (text) => {
    expect([parseAddress(text), parseNetwork(text)]).toEqual([undefined, undefined]);
  },
);

test.each([
  ["10.0.0.0/8", { address: "10.0.0.0", bits: 8 }],
  ["1.2.3.4", { address: "1.2.3.4", bits: 32 }],
  ["::1", { address: "::1", bits: 128 }],
  ["fd00::/8", { address: "fd00::", bits: 8 }],
  ["::ffff:10.0.0.0/104", { address: "10.0.0.0", bits: 8 }],
])("%s is a network", (text, network) => {
  expect(parseNetwork(text)).toEqual(network);
});

test.each(["10.0.0.0/", "/8", "10.0.0.0/8/8", "10.1/8", "10.0.0.0/33", "10.0.0.0/-1", "::ffff:10.0.0.0/95", "::1/129"])(
  "%s is none",
  (text) => {
    expect(parseNetwork(text)).toBe(undefined);
  },
);
