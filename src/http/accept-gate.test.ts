// When listeners stop accepting for want of descriptors, and when they go on.

import { expect, test } from "bun:test";
import { AcceptGate } from "./accept-gate.ts";

/** A gate for 18 sockets, 16 of them clients', and what it said. */
function rig(spare = 0) {
  const told: boolean[] = [];
  const idle = { count: spare };
  const gate: AcceptGate = new AcceptGate(18, () => {
    for (; idle.count > 0; idle.count--) gate.socketClosed();
  });
  gate.join({ balanceAccepting: () => void told.push(gate.isShut) });
  const times = (count: number, act: () => void): void => {
    for (let i = 0; i < count; i++) act();
  };
  return { gate, told, idle, times };
}

test("clients alone may take eight ninths", () => {
  const { gate, told, times } = rig();
  times(15, () => gate.clientOpened());
  expect(gate.isShut).toBe(false);
  gate.clientOpened();
  expect(gate.isShut).toBe(true);
  gate.clientOpened(); // was under way
  gate.clientClosed();
  expect(told).toEqual([true]);
  gate.clientClosed();
  expect(told).toEqual([true, false]);
});

test("clients and their connections to endpoints together", () => {
  const { gate, told, times } = rig();
  times(9, () => gate.clientOpened());
  times(8, () => gate.socketOpened());
  expect(told).toEqual([]);
  gate.socketOpened();
  expect(told).toEqual([true]);
  expect(gate.isShort).toBe(true); // nothing is to be kept idle
  gate.socketClosed();
  expect(told).toEqual([true, false]);
  expect(gate.isShort).toBe(false);
});

test("idle connections to endpoints go first", () => {
  const { gate, told, idle, times } = rig(5);
  times(10, () => gate.socketOpened());
  times(7, () => gate.clientOpened());
  expect(idle.count).toBe(5);
  gate.clientOpened();
  expect(idle.count).toBe(0);
  expect(gate.isShut).toBe(false);
  expect(told).toEqual([]);
});

test("0 is no bound", () => {
  const gate = new AcceptGate(0, () => {
    throw new Error("nothing to relieve");
  });
  for (let i = 0; i < 100_000; i++) gate.clientOpened();
  expect(gate.isShut).toBe(false);
  expect(gate.isShort).toBe(false);
});
