// Who may and who may not.

import { expect, test } from "bun:test";
import { parseIp } from "../base/ip.ts";
import { AccessList } from "./access.ts";

function permits(allow: readonly string[], deny: readonly string[], address: string): boolean {
  return new AccessList({ allow, deny }).permits(parseIp(address));
}

test.each([
  [[], [], "192.0.2.1", true],
  [["192.0.2.0/24"], [], "192.0.2.1", true],
  [["192.0.2.0/24"], [], "198.51.100.1", false],
  [["192.0.2.0/24"], [], "::ffff:192.0.2.1", true],
  [["192.0.2.0/24"], [], "2001:db8::1", false],
  [["192.0.2.0/24", "2001:db8::/32"], [], "2001:db8::1", true],
  [["192.0.2.0/24"], ["192.0.2.1"], "192.0.2.1", false],
  [["192.0.2.1"], ["192.0.2.0/24"], "192.0.2.1", false],
  [[], ["192.0.2.0/24"], "192.0.2.1", false],
  [[], ["192.0.2.0/24"], "192.0.3.1", true],
  [[], ["0.0.0.0/0", "::/0"], "192.0.2.1", false],
  [[], [], "unix:", true],
  [[], ["0.0.0.0/0"], "unix:", true],
  [["0.0.0.0/0", "::/0"], [], "unix:", false],
])("allow %p deny %p: %s %p", (allow, deny, address, expected) => {
  expect(permits(allow, deny, address)).toBe(expected);
});

test("a block that is none is an error with the text", () => {
  expect(() => new AccessList({ allow: ["10.0.0.0/33"], deny: [] })).toThrow('"10.0.0.0/33"');
});
