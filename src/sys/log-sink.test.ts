// The log sink on files, pipes and terminals that behave, stall, vanish or fill up: lines stay whole, what is lost is
// counted, and the process is neither stopped nor ended.

import { afterAll, describe, expect, test } from "bun:test";
import { closeSync, mkdtempSync, openSync, readFileSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { openLogSink } from "./log-sink.ts";
import type { LogSink } from "./log-sink.ts";
import { until } from "./test-kit.ts";

const folder = mkdtempSync(`${tmpdir()}/sluice-sink-`);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let files = 0;
const freshPath = (): string => `${folder}/${files++}.log`;

function put(sink: LogSink, line: string): boolean {
  const bytes = Buffer.from(`xx${line}\nyy`, "latin1");
  return sink.append(bytes, 2, bytes.length - 2);
}

const read = (path: string): string => readFileSync(path, "latin1");

describe("a file", () => {
  test("gets every line once, in order, soon and without more lines to push them", async () => {
    const path = freshPath();
    const sink = openLogSink({ target: path, flushMs: 5 });
    put(sink, "one");
    put(sink, "two");
    await until("the lines", () => read(path) === "one\ntwo\n");
    put(sink, "three");
    await until("the third", () => read(path) === "one\ntwo\nthree\n");
    await sink.close(1000);
    expect(put(sink, "late")).toBe(false);
    expect(sink.dropped).toBe(1);
  });

  test("gets many megabytes through a buffer of one", async () => {
    const path = freshPath();
    const sink = openLogSink({ target: path, bufferBytesMax: 1 << 20 });
    let kept = "";
    for (let i = 0; i < 40_000; i++) {
      const line = `${i} ${"x".repeat(i % 150)}`;
      while (!put(sink, line)) await new Promise((resolve) => setImmediate(resolve));
      kept += `${line}\n`;
    }
    await sink.close(5000);
    expect(read(path) === kept).toBe(true);
  });

  test("two sinks on one path do not overwrite each other", async () => {
    const path = freshPath();
    const [one, two] = [openLogSink({ target: path }), openLogSink({ target: path })];
    for (let i = 0; i < 3000; i++) {
      put(one, `one ${i}`);
      put(two, `two ${i}`);
    }
    await Promise.all([one.close(5000), two.close(5000)]);
    const lines = read(path).trimEnd().split("\n");
    expect(lines.length).toBe(6000);
    expect(lines.filter((line) => line.startsWith("one ")).length).toBe(3000);
    expect(lines.every((line) => /^(one|two) \d+$/.test(line))).toBe(true);
  });

  test("is followed through a rotation", async () => {
    const path = freshPath();
    const sink = openLogSink({ target: path, flushMs: 1 });
    put(sink, "before");
    await until("the first line", () => read(path) === "before\n");
    renameSync(path, `${path}.1`);
    put(sink, "between");
    await until("the second", () => read(`${path}.1`) === "before\nbetween\n");
    sink.reopen();
    sink.reopen();
    put(sink, "after");
    await sink.close(1000);
    expect(read(path)).toBe("after\n");
    expect(read(`${path}.1`)).toBe("before\nbetween\n");
  });

  test("that cannot be reopened: the old one goes on", async () => {
    const directory = mkdtempSync(`${folder}/d`);
    const sink = openLogSink({ target: `${directory}/a.log`, flushMs: 1 });
    renameSync(directory, `${directory}-moved`);
    expect(() => sink.reopen()).toThrow();
    put(sink, "still");
    await sink.close(1000);
    expect(read(`${directory}-moved/a.log`)).toBe("still\n");
    expect(() => openLogSink({ target: `${folder}/absent/x.log` })).toThrow();
  });

  test("on a full disk: lines are counted as dropped, the trouble is told once", async () => {
    const told: (string | null)[] = [];
    const sink = openLogSink({ target: "/dev/full", flushMs: 1, onTrouble: (code) => told.push(code) });
    put(sink, "one");
    put(sink, "two");
    await until("the first failure", () => sink.dropped === 2);
    put(sink, "three");
    await until("the second failure", () => sink.dropped === 3);
    expect(told).toEqual(["ENOSPC"]);
    await sink.close(1000);
  });
});

describe("a buffer that is full", () => {
  test("drops whole lines and counts them, and never grows beyond its bound", async () => {
    const path = freshPath();
    const sink = openLogSink({ target: path, bufferBytesMax: 1000, flushMs: 60_000 });
    let accepted = 0;
    for (let i = 0; i < 100; i++) if (put(sink, "x".repeat(99))) accepted++;
    expect(accepted).toBe(10);
    expect(sink.dropped).toBe(90);
    await sink.close(1000);
    expect(read(path)).toBe(`${"x".repeat(99)}\n`.repeat(10));
  });
});

/** Runs a child that writes log lines to its standard output and tells on standard error how it fared. */
function chatter(body: string): string[] {
  const source = `
    import { openLogSink } from "${import.meta.dir}/log-sink.ts";
    let trouble = [];
    const onTrouble = (code) => trouble.push(code);
    const sink = openLogSink({ target: 1, bufferBytesMax: 1 << 20, flushMs: 1, onTrouble });
    const put = (text) => {
      const bytes = new TextEncoder().encode(text + "\\n");
      return sink.append(bytes, 0, bytes.length);
    };
    let ticks = 0;
    setInterval(() => ticks++, 5);
    const tell = () => console.error(JSON.stringify({ ticks, dropped: sink.dropped, trouble }));
    ${body}`;
  return [process.execPath, "-e", source];
}

interface Told {
  ticks: number;
  dropped: number;
  trouble: (string | null)[];
}

describe("a pipe", () => {
  test("of several processes gets lines that are whole", async () => {
    const path = freshPath();
    const one = chatter(
      `for (let i = 0; i < 2000; i++) put("A".repeat(50 + i % 200)); await sink.close(5000); process.exit(0);`,
    );
    const two = one.map((part) => part.replace('"A"', '"B"'));
    // Both write to the same pipe, whose other end is cat.
    const shell = `( "$@" & FIRST=$!; "$TWO_1" -e "$TWO_2"; wait $FIRST ) | cat > ${path}`;
    const child = Bun.spawn(["sh", "-c", shell, "sh", ...one], {
      env: { ...process.env, TWO_1: two[0]!, TWO_2: two[2]! },
      stderr: "inherit",
    });
    expect(await child.exited).toBe(0);
    const lines = read(path).trimEnd().split("\n");
    expect(lines.length).toBe(4000);
    expect(lines.every((line) => /^(A+|B+)$/.test(line))).toBe(true);
  });

  test("that nobody reads: lines are dropped, the event loop runs on, and the process can leave", async () => {
    const child = Bun.spawn(
      chatter(`
        while (put("x".repeat(999))) await new Promise((resolve) => setImmediate(resolve));
        for (let i = 0; i < 10; i++) put("x".repeat(999));
        const before = ticks;
        while (ticks < before + 10) await Bun.sleep(1);
        await sink.close(20);
        tell();
        process.exit(5);`),
      { stdout: "pipe", stderr: "pipe" },
    );
    const told = JSON.parse(await child.stderr.text()) as Told;
    expect(await child.exited).toBe(5);
    expect(told.dropped).toBeGreaterThanOrEqual(11);
    expect(told.trouble).toEqual([]);
  });

  test("whose reader has gone: the process lives, all lines are counted", async () => {
    const child = Bun.spawn(
      [
        "sh",
        "-c",
        `"$0" "$@" | true`,
        ...chatter(`
          for (let i = 0; i < 300 && trouble.length === 0; i++) { put("line"); await Bun.sleep(5); }
          const before = sink.dropped;
          put("one more");
          while (sink.dropped === before) await Bun.sleep(1);
          tell();
          process.exit(0);`),
      ],
      { stderr: "pipe" },
    );
    const told = JSON.parse(await child.stderr.text()) as Told;
    expect(told.trouble).toEqual(["EPIPE"]);
    expect(told.dropped).toBeGreaterThan(1);
  });

  test("that somebody made non-blocking and that is full: the lines wait and arrive", async () => {
    const body = chatter(`
      import { libc } from "${import.meta.dir}/libc.ts";
      libc.fcntl(1, 4, 0o4000 | 1);
      for (let i = 0; i < 300; i++) put(String(i).padEnd(999, "."));
      await sink.close(10000);
      tell();
      process.exit(0);`);
    const child = Bun.spawn(["sh", "-c", `"$0" "$@" | (sleep 0.3; cat)`, ...body], { stdout: "pipe", stderr: "pipe" });
    const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    const numbers = out.trimEnd().split("\n").map((line) => Number.parseInt(line, 10)); // prettier-ignore
    expect(numbers).toEqual(Array.from({ length: 300 }, (_, i) => i));
    expect((JSON.parse(err) as Told).dropped).toBe(0);
  });

  test("that is full: a process that leaves without closing is not held up", async () => {
    // The other process on the pipe fills it; this one has lines waiting and no write under way.
    const body = chatter(`
      import { writeSync } from "node:fs";
      import { libc } from "${import.meta.dir}/libc.ts";
      libc.fcntl(1, 4, 0o4000 | 1);
      try { for (;;) writeSync(1, "x".repeat(4096)); } catch {}
      libc.fcntl(1, 4, 1);
      put("waiting");
      process.exit(6);`);
    const child = Bun.spawn(body, { stdout: "pipe", stderr: "inherit" });
    expect(await child.exited).toBe(6);
  });

  test("a process that leaves without closing loses nothing that waits", async () => {
    const child = Bun.spawn(chatter(`put("last words"); process.exit(0);`), { stdout: "pipe" });
    expect(await child.stdout.text()).toBe("last words\n");
  });
});

test("a descriptor given as a number stays the caller's", async () => {
  const path = freshPath();
  const fd = openSync(path, "a");
  const sink = openLogSink({ target: fd });
  put(sink, "line");
  sink.reopen();
  await sink.close(1000);
  closeSync(fd); // would throw if the sink had closed it
  expect(read(path)).toBe("line\n");
});
