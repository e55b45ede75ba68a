// Lines of the operator's log in each format, and that no field can forge a line.

import { expect, test } from "bun:test";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { LogLevel } from "../base/ports.ts";
import { createLog, formatEvent } from "./log.ts";

const at = Date.UTC(2031, 1, 3, 4, 5, 6, 7);
const fields = { pool: "users", count: 3, ok: true, none: null, text: 'say "hi"\n\u001b[31m=' };

test("text for people", () => {
  expect(formatEvent("text", at, LogLevel.Warn, "worker 1", "endpoint down", fields)).toBe(
    "04:05:06.007 warn  worker 1: endpoint down pool=users count=3 ok=true none=null " +
      'text="say \\"hi\\"\\\\x0a\\\\x1b[31m="',
  );
});

test("logfmt for machines", () => {
  expect(formatEvent("logfmt", at, LogLevel.Info, "supervisor", "started", { port: 80 })).toBe(
    "time=2031-02-03T04:05:06.007Z level=info source=supervisor event=started port=80",
  );
});

test("JSON, one object a line", () => {
  const line = formatEvent("json", at, LogLevel.Error, "supervisor", "bad\nthing", fields);
  expect(line).not.toContain("\n");
  expect(JSON.parse(line)).toEqual({
    time: "2031-02-03T04:05:06.007Z",
    level: "error",
    source: "supervisor",
    event: "bad\nthing",
    ...fields,
  });
});

test("levels below the threshold are not written, overlong lines are cut, the rest arrives in order", async () => {
  const folder = mkdtempSync(`${tmpdir()}/sluice-log-`);
  const fd = openSync(`${folder}/log`, "a");
  const log = createLog({ level: LogLevel.Info, format: "auto", source: "t" }, fd);
  log.write(LogLevel.Debug, "hidden");
  log.write(LogLevel.Info, "first");
  log.write(LogLevel.Warn, "long", { text: "x".repeat(10_000) });
  log.write(LogLevel.Error, "last");
  await log.close(1000);
  closeSync(fd);
  const lines = readFileSync(`${folder}/log`, "utf8").split("\n");
  rmSync(folder, { recursive: true });
  expect(lines.map((line) => /event=(\w+)/.exec(line)?.[1])).toEqual(["first", "long", "last", undefined]);
  expect(lines[1]!.length).toBe(4095);
});
