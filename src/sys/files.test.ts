// Reading with a limit, writing as a whole, and errors an operator can act on.

import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { fileExists, FileError, readBytes, readText, removeFile, writeTextAtomic } from "./files.ts";

const folder = mkdtempSync(`${tmpdir()}/sluice-files-`);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function errorOf(action: () => void): FileError {
  try {
    action();
  } catch (error) {
    if (error instanceof FileError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

test("text is read up to the limit and not beyond", () => {
  const path = `${folder}/a`;
  writeFileSync(path, "x".repeat(200_000));
  expect(readText(path, 200_000).length).toBe(200_000);
  const error = errorOf(() => readText(path, 199_999));
  expect([error.code, error.path]).toEqual(["EFBIG", path]);
  expect(error.message).toBe(`cannot read ${path}: it is larger than 199999 bytes`);
});

test("a byte order mark is removed, other encodings are refused", () => {
  const path = `${folder}/b`;
  writeFileSync(path, "\ufeffkey: é");
  expect(readText(path, 100)).toBe("key: é");
  writeFileSync(path, Buffer.from([0x66, 0xff, 0xfe]));
  expect(errorOf(() => readText(path, 100)).code).toBe("EILSEQ");
  expect(readBytes(path, 100)).toEqual(Buffer.from([0x66, 0xff, 0xfe]));
});

test("files without a size can be read", () => {
  expect(readText("/proc/self/status", 100_000)).toContain("Pid:");
});

test("missing files and directories are named", () => {
  expect(errorOf(() => readText(`${folder}/absent`, 10)).message).toBe(`cannot read ${folder}/absent: no such file`);
  expect(errorOf(() => readText(folder, 10)).message).toBe(`cannot read ${folder}: it is a directory`);
  expect(fileExists(folder)).toBe(true);
  expect(fileExists(`${folder}/absent`)).toBe(false);
});

test("a write replaces the whole file with the mode asked for and leaves nothing beside it", () => {
  const path = `${folder}/state/x`;
  expect(errorOf(() => writeTextAtomic(path, "x")).message).toBe(`cannot write ${path}: no such file`);
  const other = `${folder}/c`;
  writeTextAtomic(other, "old and long");
  writeTextAtomic(other, "new", 0o600);
  expect(readFileSync(other, "utf8")).toBe("new");
  expect(statSync(other).mode & 0o777).toBe(0o600);
  removeFile(other);
  removeFile(other);
  expect(readdirSync(folder).toSorted()).toEqual(["a", "b"]);
});
