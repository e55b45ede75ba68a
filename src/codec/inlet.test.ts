// Input that is held: in order, from where it was left, and copied where the memory is only lent.

import { expect, test } from "bun:test";
import { latin1 } from "../wire/h1/tables.ts";
import { lent } from "../base/lending.ts";
import { hold, type Inlet, takeHeld, updateSocket } from "./inlet.ts";
import { FakeConnection } from "./test-kit.ts";

class TestInlet implements Inlet {
  readonly connection = new FakeConnection();
  stash: Uint8Array | null = null;
  stashAt = 0;
  readPaused = false;
  socketPaused = false;
}

const text = (bytes: Uint8Array | null): string | null => (bytes === null ? null : Buffer.from(bytes).toString());

test("what is held stops the socket and comes back in order, without what was used of it", () => {
  const inlet = new TestInlet();
  hold(inlet, latin1("..abc.."), 2, 5);
  expect([inlet.connection.paused, text(inlet.stash!.subarray(inlet.stashAt))]).toEqual([true, "abc"]);
  inlet.stashAt++;
  hold(inlet, latin1("..def.."), 2, 5);
  hold(inlet, latin1("ghi"), 0, 3);
  expect(text(takeHeld(inlet))).toBe("bcdefghi");
  expect(takeHeld(inlet)).toBe(null);
});

test("the socket is told once, and stays stopped while there is either reason", () => {
  const inlet = new TestInlet();
  inlet.readPaused = true;
  updateSocket(inlet);
  hold(inlet, latin1("a"), 0, 1);
  inlet.readPaused = false;
  updateSocket(inlet);
  expect(inlet.connection.paused).toBe(true);
  takeHeld(inlet);
  updateSocket(inlet);
  expect(inlet.connection.paused).toBe(false);
  inlet.connection.paused = true; // somebody else's doing
  updateSocket(inlet);
  expect(inlet.connection.paused).toBe(true);
});

test("lent memory is copied, first and behind others", () => {
  for (const before of ["", "a"]) {
    const inlet = new TestInlet();
    if (before !== "") hold(inlet, latin1(before), 0, 1);
    lent.set(latin1("..hello"));
    hold(inlet, lent, 2, 7);
    lent.fill(0, 0, 7);
    expect(text(takeHeld(inlet))).toBe(`${before}hello`);
  }
});
