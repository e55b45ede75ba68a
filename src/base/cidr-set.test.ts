// The set against its blocks asked one by one.

import { describe, expect, test } from "bun:test";
import { CidrSet } from "./cidr-set.ts";
import { type Cidr, cidrContains, parseCidr, parseIp } from "./ip.ts";
import { seededRng } from "./seeded-rng.ts";

const setOf = (...blocks: readonly string[]): CidrSet => new CidrSet(blocks.map((text) => parseCidr(text)!));
const holds = (set: CidrSet, address: string): boolean => set.holds(parseIp(address)!);

describe("CidrSet", () => {
  test("holds nothing when it is empty", () => {
    expect(holds(setOf(), "10.0.0.1")).toBe(false);
    expect(holds(setOf(), "::1")).toBe(false);
  });

  test("knows both ends of every block", () => {
    const set = setOf("10.1.0.0/16", "192.168.4.0/22", "203.0.113.7", "2001:db8::/33");
    for (const inside of ["10.1.0.0", "10.1.255.255", "192.168.4.0", "192.168.7.255", "203.0.113.7", "2001:db8::"]) {
      expect([inside, holds(set, inside)]).toEqual([inside, true]);
    }
    expect(holds(set, "2001:db8:7fff:ffff::1")).toBe(true);
    for (const outside of ["10.0.255.255", "10.2.0.0", "192.168.3.255", "192.168.8.0", "203.0.113.6", "203.0.113.8"]) {
      expect([outside, holds(set, outside)]).toEqual([outside, false]);
    }
    expect(holds(set, "2001:db8:8000::")).toBe(false);
  });

  test("a block within another does not hide the rest of it", () => {
    const set = setOf("10.2.3.0/24", "10.0.0.0/8", "10.2.3.4/32", "10.0.0.0/9");
    expect(holds(set, "10.2.3.5")).toBe(true);
    expect(holds(set, "10.2.4.0")).toBe(true);
    expect(holds(set, "10.255.255.255")).toBe(true);
    expect(holds(set, "11.0.0.0")).toBe(false);
  });

  test("/0 holds all of its family and nothing of the other", () => {
    expect(holds(setOf("0.0.0.0/0"), "255.255.255.255")).toBe(true);
    expect(holds(setOf("0.0.0.0/0"), "::1")).toBe(false);
    expect(holds(setOf("::/0"), "ffff::")).toBe(true);
    expect(holds(setOf("::/0"), "10.0.0.1")).toBe(false);
  });

  test("mapped addresses and blocks are IPv4", () => {
    expect(holds(setOf("10.0.0.0/8"), "::ffff:10.1.2.3")).toBe(true);
    expect(holds(setOf("10.0.0.0/8"), "::ffff:11.1.2.3")).toBe(false);
    expect(holds(setOf("::ffff:10.0.0.0/104"), "10.1.2.3")).toBe(true);
    expect(holds(setOf("::ffff:10.0.0.0/104"), "11.1.2.3")).toBe(false);
    expect(holds(setOf("::/0"), "::ffff:10.1.2.3")).toBe(false);
  });

  const seed = Number(process.env["SLUICE_SEED"] ?? 2632);
  test(`agrees with asking every block, seed ${seed}`, () => {
    const rng = seededRng(seed);
    const byte = (): number => (rng.below(2) === 0 ? rng.below(3) : 254 + rng.below(2));
    for (let run = 0; run < 300; run++) {
      const width = rng.below(2) === 0 ? 4 : 16;
      const address = (): Uint8Array => Uint8Array.from({ length: width }, byte);
      const blocks: Cidr[] = Array.from({ length: rng.below(12) }, () => {
        const text = [...address()];
        const prefix = rng.below(width * 8 + 1);
        const bytes = Uint8Array.from(text, (b, i) => b & (0xff00 >> Math.min(8, Math.max(0, prefix - 8 * i))));
        return { bytes, prefix };
      });
      const set = new CidrSet(blocks);
      for (let ask = 0; ask < 30; ask++) {
        const asked = address();
        expect([asked, set.holds(asked)]).toEqual([asked, blocks.some((block) => cidrContains(block, asked))]);
      }
    }
  });
});
