// The one-file executable works where nothing else is: in an empty directory, without this tree's node_modules.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { waitFor } from "../test/scenario/lib/wait.ts";
import { build } from "./build.ts";

const root = resolve(import.meta.dir, "..");
let directory = "";
let executable = "";

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "sluice-build-"));
  executable = join(directory, "out", "sluice");
  expect(await build({ outfile: executable, target: null })).toBe(0);
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

async function run(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const child = Bun.spawn([executable, ...args], {
    cwd: directory,
    env: { PATH: "/usr/bin:/bin" },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { code, out, err };
}

test("--version is the package's", async () => {
  const manifest = (await Bun.file(join(root, "package.json")).json()) as { version: string };
  const { code, out } = await run("--version");
  expect(code).toBe(0);
  expect(out).toContain(manifest.version);
});

test("check accepts a good file and refuses a bad one", async () => {
  const good =
    "listeners: { web: { bind: 127.0.0.1:0, forward: app } }\npools: { app: { endpoints: [127.0.0.1:1] } }\n";
  writeFileSync(join(directory, "good.yaml"), good);
  writeFileSync(join(directory, "bad.yaml"), good.replace("forward: app", "forward: ape"));
  const accepted = await run("check", "good.yaml");
  expect(accepted.err).toBe("");
  expect(accepted.code).toBe(0);
  const refused = await run("check", "bad.yaml");
  expect(refused.code).toBe(1);
  expect(refused.out + refused.err).toContain("bad.yaml:1:");
});

test("runs a TypeScript configuration that imports defineConfig, with no package installed beside it", async () => {
  const text = `import { defineConfig } from "sluice";
    const ports: readonly number[] = [1, 2];
    export default defineConfig({
      listeners: { web: { bind: "127.0.0.1:0", forward: "app" } },
      pools: { app: { endpoints: ports.map((port) => \`127.0.0.1:\${port}\`) } },
    });`;
  writeFileSync(join(directory, "sluice.config.ts"), text);
  const { code, err } = await run("check", "sluice.config.ts");
  expect(err).toBe("");
  expect(code).toBe(0);
});

test("runs hooks, with a package that is installed beside the configuration", async () => {
  const place = join(directory, "node_modules", "greeting");
  mkdirSync(join(place, "lib"), { recursive: true });
  writeFileSync(join(place, "package.json"), '{ "name": "greeting", "main": "lib/hello.js" }');
  writeFileSync(join(place, "lib/hello.js"), "exports.hello = (name) => `hello ${name}`;");
  const text = `import { defineConfig } from "sluice";
    import { hello } from "greeting";
    export default defineConfig({
      workers: 1,
      listeners: {
        web: {
          bind: "127.0.0.1:0",
          routes: [{ forward: "app", hooks: { request: (r) => ({ status: 200, body: hello(r.path) }) } }],
        },
      },
      pools: { app: { endpoints: ["127.0.0.1:1"] } },
    });`;
  writeFileSync(join(directory, "hooks.config.ts"), text);
  const ready = join(directory, "ready.json");
  const child = Bun.spawn([executable, "run", "hooks.config.ts"], {
    cwd: directory,
    env: { PATH: "/usr/bin:/bin", SLUICE_READY_FILE: ready },
    stdio: ["ignore", "ignore", "pipe"],
  });
  try {
    await waitFor(() => existsSync(ready) || child.exitCode !== null, { what: "the start", timeoutMs: 15_000 });
    if (child.exitCode !== null) throw new Error(await child.stderr.text());
    const { listeners } = JSON.parse(readFileSync(ready, "utf8")) as { listeners: { web: string[] } };
    const answer = await fetch(`http://${listeners.web[0]}/world`);
    expect(await answer.text()).toBe("hello /world");
  } finally {
    child.kill("SIGTERM");
  }
  expect(await child.exited).toBe(0);
}, 30_000);
