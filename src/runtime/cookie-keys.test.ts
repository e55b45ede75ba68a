// Keys of sticky cookies: made once, kept, changed with age or with the secret, and never a reason not to run.

import { beforeEach, describe, expect, test } from "bun:test";
import { cookieKeyMs } from "../base/limits.ts";
import { sealerOf } from "../sys/sealer.ts";
import { CookieKeys } from "./cookie-keys.ts";
import { FakeState } from "./fake-state.ts";
import { FakeWorld } from "./fakes.ts";
import { Journal } from "./journal.ts";

/** In the midst of a second, as times are. */
const nowMs = 1_700_000_000_123;
const ageMs = cookieKeyMs;
const secret = "a secret of thirty-two characters";

let world: FakeWorld;
let state: FakeState;
beforeEach(() => {
  world = new FakeWorld();
  state = new FakeState();
});

/** As a process that starts. */
function start(): CookieKeys {
  return new CookieKeys(new Journal(world.env.clock, world.env.log));
}

describe("keys of our own", () => {
  test("are made once and found again", () => {
    const keys = start().inForce(null, state, nowMs);
    expect(keys.length).toBe(1);
    expect(keys[0]).toMatch(/^[0-9a-f]{64}$/);
    expect(start().inForce(null, state, nowMs + 1000)).toEqual(keys);
    expect(state.writes).toBe(1);
    expect(world.lines).toEqual([]);
  });

  test("of age are replaced, the one before stays good until the next change", () => {
    const [first] = start().inForce(null, state, nowMs);
    expect(start().inForce(null, state, nowMs + ageMs - 1000)).toEqual([first!]);
    const second = start().inForce(null, state, nowMs + ageMs);
    expect(second[1]).toBe(first!);
    expect(second.length).toBe(2);
    expect(start().inForce(null, state, nowMs + ageMs)).toEqual(second);
    const third = start().inForce(null, state, nowMs + 2 * ageMs);
    expect(third[1]).toBe(second[0]!);
    expect(third).not.toContain(first!);
  });

  test("are the same for two that start at the same moment", () => {
    const other = new FakeState();
    const keys = start().inForce(null, other, nowMs);
    state.rival = other.files.get("cookie-keys")!;
    expect(start().inForce(null, state, nowMs)).toEqual(keys);
  });

  test("whose file is deleted are written again while they are in use, and made anew by the next start", () => {
    const running = start();
    const before = running.inForce(null, state, nowMs);
    const text = state.text("cookie-keys");
    state.files.clear();
    expect(running.inForce(null, state, nowMs)).toEqual(before);
    expect(state.text("cookie-keys")).toBe(text);
    state.files.clear();
    expect(start().inForce(null, state, nowMs)).not.toEqual(before);
  });
});

describe("keys of a secret", () => {
  test("are derived: the same everywhere, with or without a state directory", () => {
    const keys = start().inForce(secret, state, nowMs);
    expect(start().inForce(secret, new FakeState(), nowMs + 5)).toEqual(keys);
    expect(start().inForce(secret, null, nowMs)).toEqual(keys);
    expect(start().inForce(`${secret}!`, null, nowMs)).not.toEqual(keys);
    expect(keys[0]).not.toContain(secret);
  });

  test("do not age", () => {
    const keys = start().inForce(secret, state, nowMs);
    expect(start().inForce(secret, state, nowMs + 5 * ageMs)).toEqual(keys);
  });

  test.each([true, false])("after a change the one before still opens; kept: %p", (kept) => {
    const running = start();
    const where = kept ? state : null;
    const first = running.inForce(secret, where, nowMs);
    const second = (kept ? start() : running).inForce("another secret of 32 characters!", where, nowMs + 5);
    expect(second[1]).toBe(first[0]!);
    const sealed = sealerOf(first).seal(new Uint8Array(5));
    expect(sealerOf(second).open(sealed, 0, sealed.length)?.outdated).toBe(true);
    const back = running.inForce(secret, where, nowMs + 9);
    expect(back).toEqual([first[0]!, second[0]!]);
  });

  test("take the place of keys of our own, and the other way round", () => {
    const own = start().inForce(null, state, nowMs);
    const given = start().inForce(secret, state, nowMs);
    expect(given[1]).toBe(own[0]!);
    expect(start().inForce(null, state, nowMs)).toEqual(given);
  });
});

describe("a state directory of no use", () => {
  test.each([
    ["nonsense", "hello"],
    ["a cut line", `${"a".repeat(63)} 5\n`],
    ["too many keys", `${"a".repeat(64)} 5\n`.repeat(3)],
    ["nothing", ""],
    ["only comments", "# keys\n"],
  ])("a file with %s is told, left alone, and replaced by keys of this process", (_, text) => {
    state.files.set("cookie-keys", new TextEncoder().encode(text));
    const running = start();
    const keys = running.inForce(null, state, nowMs);
    expect(keys.length).toBe(1);
    expect(running.inForce(null, state, nowMs + 1)).toEqual(keys);
    expect(state.text("cookie-keys")).toBe(text);
    const reason = "/state/cookie-keys is damaged; delete it to have new keys made";
    expect(world.lines[0]).toBe(`W keys of sticky cookies cannot be kept across a restart reason=${reason}`);
  });

  test("what cannot be read or written is told", () => {
    state.trouble = "cannot read cookie-keys: permission denied";
    const running = start();
    const keys = running.inForce(null, state, nowMs);
    expect(keys.length).toBe(1);
    expect(running.inForce(null, state, nowMs)).toEqual(keys);
    expect(world.lines.length).toBe(2);
    expect(world.lines[0]).toContain("reason=cannot read cookie-keys: permission denied");
    state.trouble = "";
    expect(running.inForce(null, state, nowMs)).toEqual(keys);
    expect(start().inForce(null, state, nowMs)).toEqual(keys);
  });

  test("a file with comments, blank lines and two keys is taken as it is", () => {
    const [one, two] = ["a".repeat(64), "b".repeat(64)];
    state.files.set(
      "cookie-keys",
      new TextEncoder().encode(`# mine\r\n\n ${one} ${nowMs.toString().slice(0, -3)}\n${two} 5\n`),
    );
    expect(start().inForce(null, state, nowMs)).toEqual([one, two]);
    expect(state.writes).toBe(0);
  });
});
