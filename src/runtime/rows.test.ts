// Rows of the shared columns: stable, and given out again only when nobody can still write them.

import { expect, test } from "bun:test";
import { RowTable } from "./rows.ts";

function apply(table: RowTable, names: string, generation: number): string {
  const proposal = table.propose(names)!;
  table.commit(proposal, generation);
  return [...proposal.rows].map(([name, row]) => `${name}${row}${proposal.fresh.includes(row) ? "*" : ""}`).join(" ");
}

test("a name keeps its row", () => {
  const table = new RowTable(8);
  expect(apply(table, "abc", 0)).toBe("a0* b1* c2*");
  expect(apply(table, "cxa", 1)).toBe("c2 x3* a0");
  expect([...table.rows.keys()].join("")).toBe("cxa");
});

test("a row is given out again only after the old generation is retired", () => {
  const table = new RowTable(8);
  apply(table, "ab", 0);
  apply(table, "a", 1); // b existed last in generation 1
  table.retire(1);
  expect(apply(table, "ac", 2)).toBe("a0 c2*");
  table.retire(2);
  expect(apply(table, "acd", 3)).toBe("a0 c2 d1*");
  expect(apply(table, "acde", 4)).toBe("a0 c2 d1 e3*");
});

test("a name that comes back before that has its old row, uncleared", () => {
  const table = new RowTable(8);
  apply(table, "ab", 0);
  apply(table, "a", 1);
  expect([...table.live()]).toEqual([0, 1]);
  expect(apply(table, "ab", 2)).toBe("a0 b1");
  table.retire(9);
  expect(apply(table, "abc", 3)).toBe("a0 b1 c2*");
});

test("a proposal that is not committed changes nothing", () => {
  const table = new RowTable(8);
  apply(table, "ab", 0);
  table.propose("cdef");
  expect(apply(table, "abc", 1)).toBe("a0 b1 c2*");
});

test("too many names are refused", () => {
  const table = new RowTable(2);
  expect(table.propose("abc")).toBeNull();
  apply(table, "ab", 0);
  apply(table, "", 1);
  expect(table.propose("cd")).toBeNull();
  table.retire(2);
  expect(table.propose("cd")).not.toBeNull();
});

test("a quiet row is given out again before its generation is retired", () => {
  const table = new RowTable(8);
  apply(table, "abc", 0);
  apply(table, "a", 1);
  table.retire(1, (name, row, lastGeneration) => name === "b" && row === 1 && lastGeneration === 1);
  expect([...table.live()]).toEqual([0, 2]);
  expect(apply(table, "axy", 2)).toBe("a0 x1* y3*");
});

test("a row that becomes free while its name is about to come back is not given to another", () => {
  const table = new RowTable(8);
  apply(table, "ab", 0);
  apply(table, "a", 1);
  const back = table.propose("ab")!;
  table.retire(2);
  table.commit(back, 2);
  expect(apply(table, "abc", 3)).toBe("a0 b1 c2*");
});
