// Who may connect, and that counts are right through changes of the rules.

import { expect, test } from "bun:test";
import { AccessList } from "../limit/access.ts";
import { ConcurrencyLimit, REFUSED, UNCOUNTED } from "../limit/concurrency.ts";
import { SharedTable, sharedTableWords } from "../stats/shared-table.ts";
import { ClientGate, type LetIn } from "./client-gate.ts";

function newLimit(max: number): ConcurrencyLimit {
  const shape = { keys: 100, values: 8 };
  return new ConcurrencyLimit(max, new SharedTable(new Int32Array(sharedTableWords(shape)), shape), 0);
}

function enter(gate: ClientGate, address: string): LetIn | null {
  const clientPlace = gate.admit(address, 0);
  return clientPlace === REFUSED ? null : { clientPlace };
}

const newGate = (): ClientGate => new ClientGate({ k0: 1, k1: 2 });

test("without rules everybody may, and nothing is counted", () => {
  expect(newGate().admit("192.0.2.1", 0)).toBe(UNCOUNTED);
});

test("by access list", () => {
  const gate = newGate();
  gate.apply(new AccessList({ allow: [], deny: ["192.0.2.0/24"] }), newLimit(1), []);
  expect(["192.0.2.1", "198.51.100.1", "unix:", ""].map((address) => gate.admit(address, 0) === REFUSED)).toEqual([
    true,
    false,
    false,
    false,
  ]);
});

test("so many of each client, one more when one has left", () => {
  const gate = newGate();
  gate.apply(null, newLimit(2), []);
  const inside = [enter(gate, "192.0.2.1")!, enter(gate, "192.0.2.1")!];
  expect(enter(gate, "192.0.2.1")).toBeNull();
  expect(enter(gate, "192.0.2.2")).not.toBeNull();
  for (let k = 0; k < 5; k++) expect(enter(gate, "unix:")).not.toBeNull();
  gate.leave(inside[0]!);
  expect(enter(gate, "192.0.2.1")).not.toBeNull();
  expect(enter(gate, "192.0.2.1")).toBeNull();
});

test("another bound goes on with the counts", () => {
  const gate = newGate();
  const limit = newLimit(1);
  gate.apply(null, limit, []);
  const first = enter(gate, "192.0.2.1")!;
  gate.apply(null, limit.withMax(2), [first]);
  expect(enter(gate, "192.0.2.1")).not.toBeNull();
  expect(enter(gate, "192.0.2.1")).toBeNull();
  gate.leave(first);
  expect(enter(gate, "192.0.2.1")).not.toBeNull();
});

test("when the table goes, places are given back at once, and what leaves later takes nothing from others", () => {
  const gate = newGate();
  const before = newLimit(1);
  gate.apply(null, before, []);
  const first = enter(gate, "192.0.2.1")!;
  gate.apply(null, null, [first]);
  expect(first.clientPlace).toBe(UNCOUNTED);
  gate.apply(null, before, [first]); // the limit is back, with the same table
  const second = enter(gate, "192.0.2.1")!;
  expect(second).not.toBeNull();
  gate.leave(first);
  expect(enter(gate, "192.0.2.1")).toBeNull();
  gate.leave(second);
  expect(enter(gate, "192.0.2.1")).not.toBeNull();
});
