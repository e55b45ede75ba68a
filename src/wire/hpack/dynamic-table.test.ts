// The dynamic table by itself: evictions, moves and growth against a plain list, and numbers that wrap.

import { expect, test } from "bun:test";
import { seededRng } from "../../base/seeded-rng.ts";
import { latin1 } from "../h1/tables.ts";
import { DynamicTable, ENTRY_TAG } from "./dynamic-table.ts";
import { tableTexts } from "./test-kit.ts";

const seed = Number(process.env["SLUICE_SEED"] ?? 7542);

function enter(table: DynamicTable, name: string, value: string, tag: number): void {
  const at = table.enter(name.length, value.length, tag);
  if (at >= 0) table.bytes.set(latin1(`${name}: ${value}\r\n`), at);
}

test(`entries are those of a plain list, seed ${seed}`, () => {
  const rng = seededRng(seed);
  for (const first of [0, 0x7fff_fff0, -20]) {
    const table = new DynamicTable(4096);
    table.oldest = first;
    table.next = first;
    let sizeMax = 4096;
    let list: { readonly name: string; readonly value: string; readonly tag: number }[] = [];
    const cut = (): void => {
      let size = 0;
      list = list.filter(({ name, value }) => (size += name.length + value.length + 32) <= sizeMax);
    };
    for (let i = 0; i < 2000; i++) {
      if (rng.below(50) === 0) {
        sizeMax = [0, 40, 200, 4096, 4096][rng.below(5)]!;
        table.resize(sizeMax);
      } else {
        const entry = {
          name: "n".repeat(rng.below(20)),
          value: "v".repeat(rng.below(rng.below(9) === 0 ? 900 : 9)),
          tag: i,
        };
        enter(table, entry.name, entry.value, i);
        const fits = entry.name.length + entry.value.length + 32 <= sizeMax;
        list = fits ? [entry, ...list] : [];
      }
      cut();
      expect(table.count).toBe(list.length);
      expect(table.has(table.next)).toBe(false);
      expect(table.has((table.oldest - 1) | 0)).toBe(false);
      if (i % 7 > 0) continue;
      expect(list.every((entry, k) => table.entries[table.slotOf(table.next - 1 - k) + ENTRY_TAG] === entry.tag)).toBe(
        true,
      );
      expect(list.every((_, k) => table.has((table.next - 1 - k) | 0))).toBe(true);
      if (first === 0) expect(tableTexts(table)).toEqual(list.map(({ name, value }) => `${name}: ${value}`));
    }
    expect(table.bytes.length).toBeLessThanOrEqual(8192);
  }
});

test("a table that nothing is entered into takes no memory", () => {
  const table = new DynamicTable(4096);
  expect(table.bytes.length + table.entries.length).toBe(0);
  expect(table.has(0)).toBe(false);
});
