// The state directory: which place is taken, who may read what is in it, and that a file is there whole or not at all.

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { openStateDirectory, statePlaces } from "./state-directory.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(`${tmpdir()}/sluice-state-`);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const textOf = (bytes: Uint8Array | null): string | null => (bytes === null ? null : new TextDecoder().decode(bytes));

describe("the place", () => {
  test("is the configured one, made with its parents, for its owner alone", () => {
    const path = `${folder}/a/b`;
    expect(openStateDirectory(path, { SLUICE_STATE: `${folder}/other` }).path).toBe(path);
    expect(statSync(path).mode & 0o777).toBe(0o700);
    expect(existsSync(`${folder}/other`)).toBe(false);
  });

  test("or that of SLUICE_STATE, and no other then", () => {
    expect(openStateDirectory(null, { SLUICE_STATE: `${folder}/s`, HOME: folder }).path).toBe(`${folder}/s`);
    writeFileSync(`${folder}/file`, "");
    const open = (): unknown => openStateDirectory(null, { SLUICE_STATE: `${folder}/file`, HOME: folder });
    expect(open).toThrow(`${folder}/file: it is not a directory`);
  });

  test.each([
    [{ HOME: "/home/me" }, ["/var/lib/sluice", "/home/me/.local/state/sluice"]],
    [{ HOME: "/home/me", XDG_STATE_HOME: "/states" }, ["/var/lib/sluice", "/states/sluice"]],
    [{ HOME: "/home/me", XDG_STATE_HOME: "relative" }, ["/var/lib/sluice", "/home/me/.local/state/sluice"]],
    [{ HOME: "" }, ["/var/lib/sluice"]],
    [{ HOME: "/home/me", SLUICE_STATE: "/mine" }, ["/mine"]],
    [{ SLUICE_STATE: "" }, ["/var/lib/sluice"]],
  ])("is looked for, by %j, at %j", (variables, places) => expect(statePlaces(variables)).toEqual(places));

  test("that is of no use is told with the reason", () => {
    writeFileSync(`${folder}/file`, "");
    expect(() => openStateDirectory(`${folder}/file`, {})).toThrow(`${folder}/file: it is not a directory`);
    expect(() => openStateDirectory(`${folder}/file/below`, {})).toThrow("it is not a directory");
    expect(() => openStateDirectory("/proc/self/nothing", {})).toThrow("it cannot be written (ENOENT)");
  });

  // Root may write it all the same.
  test.skipIf(process.getuid?.() === 0)("that may not be written is of no use", () => {
    mkdirSync(`${folder}/closed`);
    chmodSync(`${folder}/closed`, 0o500);
    expect(() => openStateDirectory(`${folder}/closed`, {})).toThrow("it cannot be written (EACCES)");
  });
});

describe("files", () => {
  test("are replaced as a whole, for their owner alone, and leave nothing beside them", () => {
    const state = openStateDirectory(folder, {});
    expect(state.read("one", 100)).toBeNull();
    state.write("one", bytesOf("first"));
    state.write("one", bytesOf("second"));
    expect(textOf(state.read("one", 100))).toBe("second");
    expect(statSync(`${folder}/one`).mode & 0o777).toBe(0o600);
    expect(readdirSync(folder)).toEqual(["one"]);
  });

  test("are created once: who comes second finds the first one's", () => {
    const state = openStateDirectory(folder, {});
    expect(state.create("key", bytesOf("first"))).toBe(true);
    expect(state.create("key", bytesOf("second"))).toBe(false);
    expect(textOf(state.read("key", 100))).toBe("first");
    expect(statSync(`${folder}/key`).mode & 0o777).toBe(0o600);
    expect(readdirSync(folder)).toEqual(["key"]);
  });

  test("that cannot be read or written are errors for the operator", () => {
    const state = openStateDirectory(folder, {});
    mkdirSync(`${folder}/taken`);
    state.write("long", new Uint8Array(101));
    expect(() => state.read("taken", 100)).toThrow(`cannot read ${folder}/taken: it is a directory`);
    expect(() => state.read("long", 100)).toThrow(`cannot read ${folder}/long: it is larger than 100 bytes`);
    expect(() => state.write("taken", bytesOf("x"))).toThrow(`cannot write ${folder}/taken`);
    expect(() => state.write("no/such", bytesOf("x"))).toThrow(`cannot write ${folder}/no/such: no such file`);
  });
});
