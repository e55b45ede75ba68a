// The index of hashed names against a plain list.

import { expect, test } from "bun:test";
import { seededRng } from "../../base/seeded-rng.ts";
import { hashName, IdIndex } from "./id-index.ts";

test.each([0, 1, 2, 3, 4, 5, 64, 1000])("finds each of %d names and nobody else", (count) => {
  const names = Array.from({ length: count }, (_, i) => `10.0.${i >> 8}.${i & 255}:8080`);
  const index = new IdIndex(names);
  names.forEach((name, place) => {
    const { a, b } = hashName(name);
    expect(index.find(a, b)).toBe(place);
    expect(index.find(a, b ^ 1)).toBe(-1);
    expect(index.find(b, a)).toBe(-1);
  });
  const rng = seededRng(count);
  for (let k = 0; k < 1000; k++) expect(index.find(rng.u32() | 0, rng.u32() | 0)).toBe(-1);
});

test("hashes of names never change: cookies and saved sessions depend on them", () => {
  expect(hashName("10.0.0.1:80")).toEqual({ a: 726892223, b: 897866794 });
});
