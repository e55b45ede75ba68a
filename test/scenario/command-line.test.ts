// The commands that need no running instance, and what all of them share: exit codes, where output goes, no colours for
// pipes. Those that talk to an instance are in commands.test.ts and operator.test.ts.

import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { limits } from "../../src/base/limits.ts";
import { lacks } from "../support/needs.ts";
import { request } from "./lib/client.ts";
import { runSluice } from "./lib/command.ts";
import { startOrigin } from "./lib/origin.ts";
import { sluiceCommand, startSluice } from "./lib/sluice.ts";

const origin = startOrigin({ name: "a" });
afterAll(() => origin.close());

const good = `admin: off
accessLog: off
listeners: { web: { bind: "127.0.0.1:0", forward: app } }
pools: { app: { endpoints: ["${origin.address}"] } }
`;
const bad = `listeners:
  web: { bind: 127.0.0.1:0, forward: ap, limits: { headByte: 1k } }
pools:
  app:
    balance: round-robbin
    endpoints: [127.0.0.1:99999]
    passive: { failTimeout: 10 }
`;
/** Even where the environment asks for colours, a pipe gets none. */
const env = { FORCE_COLOR: "1", NO_COLOR: "" };

test("sluice check: a good file, named or found, is 0", async () => {
  const named = await runSluice(["check", "--offline", "my.yaml"], { files: { "my.yaml": good }, env });
  expect([named.code, named.stderr]).toEqual([0, ""]);
  expect(named.stdout).toBe("my.yaml is valid: 1 listener, 1 pool, 1 endpoint\n");
  const found = await runSluice(["check", "--offline"], { files: { "sluice.yaml": good } });
  expect([found.code, found.stdout.split(" ")[0]]).toEqual([0, "./sluice.yaml"]);
  const module = `export default { listeners: {}, pools: {} };\n`;
  expect((await runSluice(["check", "--offline"], { files: { "sluice.config.ts": module } })).code).toBe(0);
  expect((await runSluice(["check"])).stderr).toContain("no file was named");
});

test("sluice check: every mistake in one go, each with its place, hint and line; exit code 1", async () => {
  const { code, stdout } = await runSluice(["check", "--offline", "bad.yaml"], { files: { "bad.yaml": bad }, env });
  expect(code).toBe(1);
  const places = [...stdout.matchAll(/^(bad\.yaml:\d+:\d+): error: (\S+):/gm)].map(
    (match) => `${match[1]} ${match[2]}`,
  );
  expect(places.sort()).toEqual([
    "bad.yaml:2:38 listeners.web.forward",
    "bad.yaml:2:52 listeners.web.limits.headByte",
    "bad.yaml:5:14 pools.app.balance",
    "bad.yaml:6:17 pools.app.endpoints[0]",
    "bad.yaml:7:29 pools.app.passive.failTimeout",
  ]);
  for (const hint of ["did you mean app\n", "did you mean headBytes\n", "did you mean round-robin\n"]) {
    expect(stdout).toContain(hint);
  }
  expect(stdout).toContain("    5 |     balance: round-robbin\n      |              ^\n");
  expect(stdout).toEndWith("bad.yaml: 5 errors\n");
  expect(stdout).not.toContain("\x1b");
  const json = await runSluice(["check", "--offline", "--json", "bad.yaml"], { files: { "bad.yaml": bad } });
  expect(json.code).toBe(1);
  const { valid, diagnostics } = JSON.parse(json.stdout) as { valid: boolean; diagnostics: { at: { line: number } }[] };
  expect([valid, diagnostics.map(({ at }) => at.line).sort()]).toEqual([false, [2, 2, 5, 6, 7]]);
  expect((await runSluice(["check", "missing.yaml"])).code).toBe(1);
});

test("sluice check says what would change in the running instance", async () => {
  const port = await freePort();
  const running = good.replace("admin: off", `admin: { bind: "127.0.0.1:${port}" }`);
  await using sluice = await startSluice(running);
  const same = await runSluice(["check", "same.yaml"], { files: { "same.yaml": running } });
  expect([same.code, same.stdout.split("\n")[1]]).toEqual([0, "the running instance would not change"]);
  const changed = running
    .replace("forward: app }", "forward: app, via: edge }")
    .replace("pools: {", "pools: { new: { endpoints: [127.0.0.1:1] },");
  const { code, stdout } = await runSluice(["check", "new.yaml"], { files: { "new.yaml": changed }, env });
  expect(code).toBe(0);
  expect(stdout).toContain("the running instance would change:\n");
  expect(stdout).toMatch(/^ {2}~ listener web: via.*edge$/m);
  expect(stdout).toMatch(/^ {2}\+ pool new/m);
  await sluice.stop();
  const gone = await runSluice(["check", "same.yaml"], { files: { "same.yaml": running } });
  expect([gone.code, gone.stdout.includes("not compared with a running instance")]).toEqual([0, true]);
});

async function freePort(): Promise<number> {
  await using other = startOrigin({ name: "port" });
  return other.port;
}

test("sluice limits prints every bound, and what the configuration can move", async () => {
  const { code, stdout, stderr } = await runSluice(["limits"], { env });
  expect([code, stderr, stdout.includes("\x1b")]).toEqual([0, "", false]);
  for (const { name, value, unit } of limits) {
    expect(stdout).toMatch(new RegExp(`^ {2}${name} +${value} ${unit} `, "m"));
  }
  expect(stdout).toMatch(/^ {2}listeners\.\S*limits\.headBytes +64k /m);
  const json = JSON.parse((await runSluice(["limits", "--json"])).stdout) as { fixed: { name: string }[] };
  expect(json.fixed.map(({ name }) => name)).toEqual(limits.map(({ name }) => name));
});

test("sluice schema prints a JSON Schema that knows the keys", async () => {
  const { code, stdout } = await runSluice(["schema"]);
  expect(code).toBe(0);
  const schema = JSON.parse(stdout) as { $schema: string; properties: Record<string, { description: string }> };
  expect(schema.$schema).toContain("json-schema.org");
  expect(Object.keys(schema.properties)).toEqual([
    "workers",
    "user",
    "admin",
    "accessLog",
    "log",
    "timeouts",
    "state",
    "secret",
    "listeners",
    "pools",
    "tests",
  ]);
  for (const { description } of Object.values(schema.properties)) expect(description.length).toBeGreaterThan(5);
});

test("exit codes of sluice run: 1 for a configuration, 2 for a command line, 3 for a start", async () => {
  const broken = await runSluice(["run", "bad.yaml"], { files: { "bad.yaml": bad }, env });
  expect([broken.code, broken.stdout]).toEqual([1, ""]);
  expect(broken.stderr).toContain("bad.yaml:5:14: error: ");
  expect(broken.stderr).not.toContain("\x1b");
  const missing = await runSluice(["run", "missing.yaml"]);
  expect([missing.code, missing.stderr.includes("missing.yaml")]).toEqual([1, true]);
  expect((await runSluice(["run"])).stderr).toContain("neither ./sluice.yaml nor ./sluice.config.ts");
  expect((await runSluice(["run", "a.yaml", "b.yaml"])).code).toBe(2);
  expect((await runSluice(["run", "--fast"])).code).toBe(2);
  const taken = good.replace("127.0.0.1:0", origin.address);
  const inUse = await runSluice(["run", "taken.yaml"], { files: { "taken.yaml": taken }, env });
  expect([inUse.code, inUse.stdout]).toEqual([3, ""]);
  expect(inUse.stderr).toContain(`cannot listen on ${origin.address}: the address is in use`);
  expect(inUse.stderr).not.toContain("\x1b");
  const admin = good.replace("admin: off", `admin: { bind: "${origin.address}" }`);
  const adminInUse = await runSluice(["run", "admin.yaml"], { files: { "admin.yaml": admin } });
  expect(adminInUse.code).toBe(3);
  expect(adminInUse.stderr).toContain(`cannot serve the admin interface on ${origin.address}: the address is in use`);
});

test("sluice --version, and a word that is no command", async () => {
  const version = await runSluice(["--version"]);
  expect([version.code, version.stderr]).toEqual([0, ""]);
  expect(version.stdout).toMatch(/^sluice \d+\.\d+\.\d+\n$/);
  const unknown = await runSluice(["relaod"], { env });
  expect([unknown.code, unknown.stdout]).toEqual([2, ""]);
  expect(unknown.stderr).toBe('sluice: there is no command "relaod"; did you mean reload?\nsluice --help lists them\n');
});

test("sluice status prints no colours into a pipe", async () => {
  await using sluice = await startSluice(good.replace("admin: off\n", ""));
  expect((await request(sluice.address("web"))).status).toBe(200);
  const { admin } = await sluice.status<{ admin: string }>();
  const { code, stdout } = await runSluice(["status", "--admin", admin], { env });
  expect([code, stdout.includes("\x1b")]).toEqual([0, false]);
  expect(stdout).toMatch(/^web +127\.0\.0\.1:\d+ +0 +1 +0 +0 +0$/m);
});

test.skipIf(lacks("script"))("on a terminal there are colours, unless NO_COLOR says otherwise", async () => {
  const check = async (variables: Readonly<Record<string, string>>): Promise<string> => {
    await Bun.write(file, bad);
    const command = sluiceCommand("check", "--offline", file).join(" ");
    const child = Bun.spawn(["script", "-qec", command, "/dev/null"], {
      stdio: ["ignore", "pipe", "ignore"],
      env: { ...process.env, NO_COLOR: "", FORCE_COLOR: "", ...variables },
    });
    return new Response(child.stdout).text();
  };
  const file = join(mkdtempSync(join(tmpdir(), "sluice-colours-")), "bad.yaml");
  expect(await check({})).toContain("\x1b[31m");
  const plain = await check({ NO_COLOR: "1" });
  expect([plain.includes("error"), plain.includes("\x1b")]).toEqual([true, false]);
  rmSync(dirname(file), { recursive: true });
});
