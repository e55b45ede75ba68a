// Endpoints from a file: when it is read, what is kept, what is told. The file and the clock are the test's; at the end
// real files are replaced in all the ways in which people and programs do that.

import { beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { filePollMs } from "../base/limits.ts";
import { fileStamp, readText } from "../sys/files.ts";
import { FakeHost, FakeWorld } from "./fakes.ts";
import { FileSource } from "./file-source.ts";
import type { SourceEnv } from "./source.ts";

const path = "endpoints.yaml";
let world: FakeWorld;
let host: FakeHost;
let changes = 0;
let source: FileSource;

beforeEach(() => {
  world = new FakeWorld();
  host = new FakeHost();
  changes = 0;
});

function open(file = path, files: Partial<SourceEnv["host"]> = {}): void {
  const { clock, timers, log } = world.env;
  const { ask, knownAddresses, fileStamp: stamp, readFile } = host;
  const bound = { ask, knownAddresses, fileStamp: stamp.bind(host), readFile: readFile.bind(host), ...files };
  source = new FileSource(file, { clock, timers, host: bound, record: log.write.bind(log), onChange: () => changes++ });
}

const ids = (): string => source.endpoints.map(({ id }) => id).join(" ");
/** Long enough to see a change and to see that it rests. */
const twoLooks = 3 * filePollMs;

describe("a file", () => {
  test("is read at once at the start, and again when it has changed and rests", async () => {
    host.write(path, "[10.0.0.1:80]");
    open();
    expect([ids(), source.answered]).toEqual(["10.0.0.1:80", true]);
    host.write(path, "- 10.0.0.2:80\n- { address: 10.0.0.1:80, weight: 3 }\n");
    await world.pass(filePollMs + 100);
    expect(changes).toBe(0);
    await world.pass(filePollMs + 100);
    expect([ids(), changes, source.endpoints[1]!.weight]).toEqual(["10.0.0.2:80 10.0.0.1:80", 1, 3]);
    await world.pass(10_000);
    expect(changes).toBe(1);
    expect(source.report(world.nowMs).ageMs).toBeLessThan(1000);
  });

  test("that is being written is left alone until it rests", async () => {
    host.write(path, "[10.0.0.1:80, 10.0.0.2:80, 10.0.0.3:80]");
    open();
    for (let i = 0; i < 20; i++) {
      host.write(path, "- 10.0.0.1:80\n".repeat(1)); // the beginning of a longer list
      await world.pass(200);
    }
    expect(changes).toBe(0);
    host.write(path, "[10.0.0.1:80, 10.0.0.2:80, 10.0.0.4:80]");
    await world.pass(twoLooks);
    expect([ids(), changes]).toEqual(["10.0.0.1:80 10.0.0.2:80 10.0.0.4:80", 1]);
  });

  test("that changes while it is read is read again", async () => {
    host.write(path, "[10.0.0.1:80]");
    let reads = 0;
    open(path, {
      readFile(file) {
        const text = host.readFile(file);
        if (++reads === 2) host.write(path, "[10.0.0.3:80]");
        return text;
      },
    });
    host.write(path, "[10.0.0.2:80]");
    await world.pass(2 * twoLooks);
    expect([ids(), changes, reads]).toEqual(["10.0.0.3:80", 1, 3]);
  });

  test("with the same list is no change", async () => {
    host.write(path, "[10.0.0.1:80]");
    open();
    host.write(path, "# by hand\n- 10.0.0.1:80\n");
    await world.pass(twoLooks);
    expect(changes).toBe(0);
  });

  test("may list nobody", async () => {
    host.write(path, "[10.0.0.1:80]");
    open();
    host.write(path, "[]");
    await world.pass(twoLooks);
    expect([ids(), changes]).toEqual(["", 1]);
  });
});

describe("trouble", () => {
  test("a broken file keeps the last good list, and is told once, with the place of each mistake", async () => {
    host.write(path, "[10.0.0.1:80]");
    open();
    host.write(path, "- 10.0.0.2:80\n- { address: 10.0.0.3, weight: many }\n");
    await world.pass(5000);
    expect([ids(), changes]).toEqual(["10.0.0.1:80", 0]);
    expect(world.lines.map((line) => line.replace(/^.*reason=/, "").replace(/ keeping.*/, ""))).toEqual([
      'endpoints.yaml:2:14: [1].address: "10.0.0.3" has no port (write 10.0.0.3:80)',
      'endpoints.yaml:2:32: [1].weight: expected a whole number from 0 to 1000, found "many"',
    ]);
    const { trouble, ageMs } = source.report(world.nowMs);
    expect(trouble).toStartWith("endpoints.yaml:2:14: ");
    expect(ageMs).toBeGreaterThan(3000);
    host.write(path, "[10.0.0.2:80]");
    await world.pass(twoLooks);
    expect([ids(), source.report(world.nowMs).trouble]).toEqual(["10.0.0.2:80", ""]);
    expect(world.lines.at(-1)).toBe(`I discovery works again from=file name=${path}`);
  });

  test("of many mistakes the first few are told", async () => {
    host.write(path, "[10.0.0.1:80]");
    open();
    host.write(path, JSON.stringify(Array.from({ length: 50 }, (_, i) => `10.0.0.${i}`)));
    await world.pass(5000);
    expect(world.lines.length).toBe(6);
    expect(world.lines.at(-1)).toContain("45 further mistakes in endpoints.yaml");
  });

  test("a file that goes away, is emptied or cannot be read keeps the last good list", async () => {
    host.write(path, "[10.0.0.1:80]");
    open();
    host.files.delete(path);
    await world.pass(5000);
    host.write(path, "");
    await world.pass(5000);
    expect([ids(), changes]).toEqual(["10.0.0.1:80", 0]);
    expect(world.lines.map((line) => line.replace(/^.*reason=/, ""))).toEqual([
      "cannot read endpoints.yaml: no such file keeping=1",
      "endpoints.yaml:1:1: the file is empty (a list without endpoints is written []) keeping=1",
    ]);
  });

  test("a file that is not there yet is waited for", async () => {
    open();
    expect(source.report(world.nowMs)).toMatchObject({ endpoints: 0, ageMs: null });
    expect(world.lines.length).toBe(1);
    await world.pass(5000);
    host.write(path, "[10.0.0.1:80]");
    await world.pass(twoLooks);
    expect([ids(), changes, world.lines.length]).toEqual(["10.0.0.1:80", 1, 2]);
  });
});

test("closed, it looks no more", async () => {
  host.write(path, "[10.0.0.1:80]");
  open();
  source.close();
  host.write(path, "[10.0.0.2:80]");
  await world.pass(5000);
  expect([ids(), changes, world.env.timers.size]).toEqual(["10.0.0.1:80", 0, 0]);
});

test("real files: written in place, renamed over, saved by editors, switched as Kubernetes does", async () => {
  const dir = mkdtempSync(join(tmpdir(), "sluice-file-source-"));
  const file = join(dir, "endpoints.yaml");
  const other = join(dir, "other");
  const becomes = async (id: string): Promise<void> => {
    await world.pass(twoLooks);
    expect(ids()).toBe(id);
  };
  try {
    writeFileSync(file, "[10.0.0.1:80]");
    open(file, { fileStamp, readFile: readText });
    writeFileSync(file, "[10.0.0.2:80]"); // of the same length
    await becomes("10.0.0.2:80");
    writeFileSync(other, "[10.0.0.3:80]");
    renameSync(other, file);
    await becomes("10.0.0.3:80");
    renameSync(file, `${file}~`); // vim
    writeFileSync(file, "[10.0.0.4:80]");
    unlinkSync(`${file}~`);
    await becomes("10.0.0.4:80");
    // A ConfigMap: endpoints.yaml -> ..data/endpoints.yaml, ..data -> ..1; then ..data is switched by a rename.
    for (const name of ["..1", "..2"]) mkdirSync(join(dir, name));
    writeFileSync(join(dir, "..1", "endpoints.yaml"), "[10.0.0.5:80]");
    writeFileSync(join(dir, "..2", "endpoints.yaml"), "[10.0.0.6:80]");
    symlinkSync("..1", join(dir, "..data"));
    unlinkSync(file);
    symlinkSync("..data/endpoints.yaml", file);
    await becomes("10.0.0.5:80");
    symlinkSync("..2", join(dir, "..data_tmp"));
    renameSync(join(dir, "..data_tmp"), join(dir, "..data"));
    await becomes("10.0.0.6:80");
  } finally {
    source.close();
    rmSync(dir, { recursive: true });
  }
});
