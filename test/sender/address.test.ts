// Which addresses may be reached, range by range, with and without an allow-list.

import { describe, expect, test } from "bun:test";
import { createAddressGuard } from "../../src/sender/address.ts";

const REFUSED = `
  0.0.0.0 0.0.0.1 0.255.255.255 10.0.0.1 10.255.255.255 100.64.0.1 100.100.100.200 100.127.255.255 127.0.0.1 127.255.255.254
  168.63.129.16 169.254.0.1 169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.192 192.0.2.1 192.88.99.1
  192.168.0.1 192.168.255.255 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1
  255.255.255.254 255.255.255.255
  :: ::1 ::2 ::7f00:1 ::8.8.8.8 ::ffff:0:0 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:a9fe:a9fe ::ffff:0:8.8.8.8
  64:ff9b::127.0.0.1 64:ff9b::10.0.0.1 64:ff9b::a9fe:a9fe 64:ff9b::168.63.129.16 64:ff9b:1::1 64:ff9b:1::8.8.8.8
  100::1 100:0:0:1::1 200::1 400::1 1000::1 2001::1 2001:2::1 2001:3::1 2001:10::1 2001:20::1 2001:30::1 2001:db8::1
  2002:7f00:1:: 2002:808:808::1 3fff::1 3fff:fff::1 4000::1 5f00::1 8000::1 c000::1 e000::1 f000::1 fc00::1 fd00:ec2::254 fe00::1
  fe80::1 febf::1 fec0::1 feff::1 ff02::1 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff`
  .trim()
  .split(/\s+/);

const PUBLIC = `
  1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.1 168.63.129.15 168.63.129.17 169.253.255.255
  172.15.255.255 172.32.0.0 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 223.255.255.255 ::ffff:8.8.8.8
  2001:4860:4860::8888 2606:4700:4700::1111 2a00:1450:4001::200e 64:ff9b::8.8.8.8`
  .trim()
  .split(/\s+/);

describe("without an allow-list", () => {
  const guard = createAddressGuard([]);

  test.each(REFUSED)("%s is refused with a reason", (address) => {
    const judgement = guard.judge(address);
    expect(judgement.kind).toBe("refused");
    expect(judgement.kind === "refused" && judgement.reason).toMatch(/ is .*address/);
  });

  test.each(PUBLIC)("%s is allowed", (address) => {
    expect(guard.judge(address).kind).toBe("allowed");
  });

  test("what is no address is refused", () => {
    for (const text of ["", "example.com", "1.2.3.4.5", "::g"]) expect(guard.judge(text).kind).toBe("refused");
  });

  test("a mapped address is dialled as the IPv4 address that it is", () => {
    expect(guard.judge("::ffff:808:808")).toEqual({ kind: "allowed", address: "8.8.8.8", family: 4 });
  });
});

describe("with an allow-list", () => {
  test.each([
    ["127.0.0.0/8", "127.0.0.1"],
    ["127.0.0.0/8", "::ffff:127.0.0.1"],
    ["::ffff:127.0.0.0/104", "127.0.0.1"],
    ["::ffff:10.0.0.1", "10.0.0.1"],
    ["10.0.0.1", "10.0.0.1"],
    ["169.254.169.254/32", "::ffff:a9fe:a9fe"],
    ["::1", "::1"],
    ["fd00::/8", "fd12:3456::1"],
    ["0.0.0.0/0", "192.168.1.1"],
    ["::/0", "::1"],
    ["64:ff9b::/96", "64:ff9b::10.0.0.1"],
  ])("%s lets %s through", (network, address) => {
    expect(createAddressGuard([network]).judge(address).kind).toBe("allowed");
  });

  test.each([
    ["127.0.0.0/8", "::1"],
    ["127.0.0.0/8", "::7f00:1"],
    ["127.0.0.0/8", "0.0.0.0"],
    ["127.0.0.1", "127.0.0.2"],
    ["::1", "127.0.0.1"],
    ["10.0.0.0/8", "64:ff9b::10.0.0.1"],
    ["10.0.0.0/8", "2002:a00:1::"],
    ["::/0", "127.0.0.1"],
  ])("%s does not let %s through", (network, address) => {
    expect(createAddressGuard([network]).judge(address).kind).toBe("refused");
  });

  test("a faulty entry is an error that names it", () => {
    expect(() => createAddressGuard(["127.0.0.0/33"])).toThrow('"127.0.0.0/33" is neither a CIDR nor an IP address');
  });
});
