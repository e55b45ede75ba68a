// bin/sluice and bin/find-bun.sh against every layout npm and its relatives produce, with a stand-in for
// src/cli/main.ts that reports how it was started. The Bun binary itself is linked, not copied, so a layout costs a few
// files.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, copyFileSync, linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";

const root = resolve(import.meta.dir, "..");
const bunBinary = process.execPath;
const platformPackage = hostPackage();
const placeholder = 'echo "Error: Bun\'s postinstall script was not run." >&2\nexit 1\n';

let base = "";
beforeAll(() => {
  base = mkdtempSync(join(tmpdir(), "sluice launcher ")); // with spaces, on purpose
});
afterAll(() => rmSync(base, { recursive: true, force: true }));

function hostPackage(): string {
  const os = process.platform === "darwin" ? "darwin" : "linux";
  return `bun-${os}-${process.arch === "arm64" ? "aarch64" : "x64"}`;
}

function put(path: string, text: string, mode = 0o644): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  chmodSync(path, mode);
}

/** A hard link where the file system allows it (a binary of 100 MB), else a copy. */
function putBun(path: string): void {
  mkdirSync(dirname(path), { recursive: true });
  try {
    linkSync(bunBinary, path);
  } catch {
    copyFileSync(bunBinary, path);
    chmodSync(path, 0o755);
  }
}

/** A package directory with the real launcher and an entry that prints what it sees. */
function putPackage(directory: string): void {
  for (const name of ["sluice", "find-bun.sh"]) {
    mkdirSync(join(directory, "bin"), { recursive: true });
    copyFileSync(join(root, "bin", name), join(directory, "bin", name));
  }
  chmodSync(join(directory, "bin/sluice"), 0o755);
  put(join(directory, "bunfig.toml"), "");
  const report = `const { BUN_LEAK: leak } = process.env;
    const { pid, execPath: exe } = process;
    console.log(JSON.stringify({ pid, args: Bun.argv.slice(2), cwd: process.cwd(), exe, leak }));
    const code = Bun.argv.indexOf("--exit");
    if (code > 0) process.exit(Number(Bun.argv[code + 1]));`;
  put(join(directory, "src/cli/main.ts"), report);
}

interface Outcome {
  readonly pid: number;
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

interface Report {
  readonly pid: number;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly exe: string;
  readonly leak?: string;
}

async function run(command: readonly string[], cwd: string, env: Record<string, string> = {}): Promise<Outcome> {
  const clean: Record<string, string> = { PATH: process.env["PATH"] ?? "/usr/bin:/bin", ...env };
  const child = Bun.spawn([...command], { cwd, env: clean, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { pid: child.pid, code, out, err };
}

function reportOf(outcome: Outcome): Report {
  expect(outcome.err).toBe("");
  expect(outcome.code).toBe(0);
  return JSON.parse(outcome.out) as Report;
}

describe("bin/sluice", () => {
  test("becomes the balancer: same process id, arguments untouched, exit code kept", async () => {
    const home = join(base, "plain");
    putPackage(home);
    putBun(join(home, "node_modules/@oven", platformPackage, "bin/bun"));
    const words = ["run", "a file.yaml", "--help", "--version", "*", ""];
    const outcome = await run([join(home, "bin/sluice"), ...words], "/");
    const report = reportOf(outcome);
    expect(report.pid).toBe(outcome.pid);
    expect(report.args).toEqual(words);
    expect(report.cwd).toBe("/");
    expect((await run([join(home, "bin/sluice"), "--exit", "7"], "/")).code).toBe(7);
  });

  test("through symbolic links, absolute, relative and chained, by name from PATH, from its directory", async () => {
    const home = join(base, "linked");
    putPackage(home);
    putBun(join(home, "node_modules/@oven", platformPackage, "bin/bun"));
    const links = join(base, "links", "bin");
    mkdirSync(links, { recursive: true });
    symlinkSync(join(home, "bin/sluice"), join(links, "absolute"));
    symlinkSync("../../linked/bin/sluice", join(links, "relative"));
    symlinkSync("relative", join(links, "sluice"));
    symlinkSync(join(base, "links"), join(base, "links again"));
    for (const command of [
      join(links, "absolute"),
      join(links, "relative"),
      join(links, "sluice"),
      join(base, "links again", "bin", "sluice"),
    ]) {
      const outcome = await run([command], base);
      expect(reportOf(outcome).pid).toBe(outcome.pid);
    }
    const byName = await run(["sluice", "x"], base, { PATH: `${links}:${process.env["PATH"]}` });
    expect(reportOf(byName).args).toEqual(["x"]);
    expect(reportOf(await run(["./sluice"], join(home, "bin"))).args).toEqual([]);
    expect(reportOf(await run(["sh", "sluice"], join(home, "bin"))).args).toEqual([]);
    expect(reportOf(await run(["bin/sluice"], home, { CDPATH: "/usr:/" })).args).toEqual([]);
  });

  test("a .env or bunfig.toml of the working directory does not reach it", async () => {
    const home = join(base, "shielded");
    putPackage(home);
    putBun(join(home, "node_modules/@oven", platformPackage, "bin/bun"));
    const elsewhere = join(base, "elsewhere");
    put(join(elsewhere, ".env"), "BUN_LEAK=yes\n");
    put(join(elsewhere, "bunfig.toml"), 'preload = ["./preload.ts"]\n');
    put(join(elsewhere, "preload.ts"), 'console.log("preloaded");\n');
    expect(reportOf(await run([join(home, "bin/sluice")], elsewhere)).leak).toBeUndefined();
  });
});

describe("the finder", () => {
  test("after npm ci --ignore-scripts: passes the placeholder by", async () => {
    const home = join(base, "no scripts");
    putPackage(home);
    put(join(home, "node_modules/bun/bin/bun.exe"), placeholder, 0o755);
    putBun(join(home, "node_modules/@oven", platformPackage, "bin/bun"));
    expect(basename(reportOf(await run([join(home, "bin/sluice")], "/")).exe)).toBe("bun");
  });

  test("after bun's postinstall script, which moves the binary", async () => {
    const home = join(base, "with scripts");
    putPackage(home);
    mkdirSync(join(home, "node_modules/@oven", platformPackage, "bin"), { recursive: true });
    putBun(join(home, "node_modules/bun/bin/bun.exe"));
    expect(basename(reportOf(await run([join(home, "bin/sluice")], "/")).exe)).toBe("bun.exe");
  });

  test("hoisted above the package, and beside the real bun package as pnpm lays it out", async () => {
    const hoisted = join(base, "hoisted");
    putPackage(join(hoisted, "node_modules/sluice"));
    putBun(join(hoisted, "node_modules/@oven", platformPackage, "bin/bun"));
    mkdirSync(join(hoisted, "node_modules/.bin"));
    symlinkSync("../sluice/bin/sluice", join(hoisted, "node_modules/.bin/sluice"));
    expect(reportOf(await run([join(hoisted, "node_modules/.bin/sluice")], "/")).args).toEqual([]);

    const store = join(base, "pnpm/node_modules/.pnpm");
    putPackage(join(store, "sluice@0.1.0/node_modules/sluice"));
    put(join(store, "bun@1.4.5/node_modules/bun/bin/bun.exe"), placeholder, 0o755);
    putBun(join(store, "bun@1.4.5/node_modules/@oven", platformPackage, "bin/bun"));
    symlinkSync("../../bun@1.4.5/node_modules/bun", join(store, "sluice@0.1.0/node_modules/bun"));
    symlinkSync(".pnpm/sluice@0.1.0/node_modules/sluice", join(base, "pnpm/node_modules/sluice"));
    expect(reportOf(await run([join(base, "pnpm/node_modules/sluice/bin/sluice")], "/")).args).toEqual([]);
  });

  test("SLUICE_BUN decides alone, and a wrong one is an error that says so", async () => {
    const home = join(base, "override");
    putPackage(home);
    const launcher = join(home, "bin/sluice");
    expect(reportOf(await run([launcher], "/", { SLUICE_BUN: bunBinary })).args).toEqual([]);
    for (const wrong of ["/nonexistent/bun", base]) {
      const outcome = await run([launcher], "/", { SLUICE_BUN: wrong });
      expect(outcome.code).toBe(1);
      expect(outcome.err).toContain(`SLUICE_BUN is ${wrong}`);
    }
  });

  test("no binary: names what it looked for and what to run", async () => {
    const home = join(base, "bare");
    putPackage(home);
    put(join(home, "node_modules/bun/bin/bun.exe"), placeholder, 0o755);
    const outcome = await run([join(home, "bin/sluice")], "/");
    expect(outcome.code).toBe(1);
    expect(outcome.out).toBe("");
    expect(outcome.err).toContain(`node_modules/@oven/${platformPackage}/bin/bun`);
    expect(outcome.err).toContain("npm ci");
    expect(outcome.err).toContain("SLUICE_BUN");
  });

  const platforms: readonly (readonly [string, string])[] = [
    ["Linux x86_64", "bun-linux-x64"],
    ["Linux aarch64", "bun-linux-aarch64"],
    ["Darwin arm64", "bun-darwin-aarch64"],
    ["Darwin x86_64", "bun-darwin-x64"],
  ];
  test.each([...platforms])("on %s it runs @oven/%s", async (system, wanted) => {
    const home = join(base, wanted);
    putPackage(home);
    const tools = join(home, "fake tools");
    put(join(tools, "uname"), `#!/bin/sh\necho ${system}\n`, 0o755);
    put(join(tools, "grep"), "#!/bin/sh\nexit 0\n", 0o755); // a processor with AVX2
    for (const [, name] of platforms) {
      put(join(home, "node_modules/@oven", name, "bin/bun"), `#!/bin/sh\necho ${name}\n`, 0o755);
    }
    put(join(home, "node_modules/@oven/bun-linux-x64-baseline/bin/bun"), "#!/bin/sh\necho baseline\n", 0o755);
    const outcome = await run([join(home, "bin/sluice")], "/", { PATH: `${tools}:${process.env["PATH"]}` });
    expect(outcome).toMatchObject({ code: 0, err: "", out: `${wanted}\n` });
  });

  test("without AVX2 it prefers the baseline build where there is one; a lone musl build is found", async () => {
    const home = join(base, "old processor");
    putPackage(home);
    const tools = join(home, "fake tools");
    put(join(tools, "uname"), "#!/bin/sh\necho Linux x86_64\n", 0o755);
    put(join(tools, "grep"), "#!/bin/sh\nexit 1\n", 0o755);
    const env = { PATH: `${tools}:${process.env["PATH"]}` };
    put(join(home, "node_modules/@oven/bun-linux-x64-musl/bin/bun"), "#!/bin/sh\necho musl\n", 0o755);
    expect((await run([join(home, "bin/sluice")], "/", env)).out).toBe("musl\n");
    put(join(home, "node_modules/@oven/bun-linux-x64/bin/bun"), "#!/bin/sh\necho plain\n", 0o755);
    expect((await run([join(home, "bin/sluice")], "/", env)).out).toBe("plain\n");
    put(join(home, "node_modules/@oven/bun-linux-x64-baseline/bin/bun"), "#!/bin/sh\necho baseline\n", 0o755);
    expect((await run([join(home, "bin/sluice")], "/", env)).out).toBe("baseline\n");
  });

  test("an unknown platform is told so", async () => {
    const home = join(base, "unknown");
    putPackage(home);
    const tools = join(home, "fake tools");
    put(join(tools, "uname"), "#!/bin/sh\necho Plan9 mips\n", 0o755);
    const outcome = await run([join(home, "bin/sluice")], "/", { PATH: `${tools}:${process.env["PATH"]}` });
    expect(outcome.code).toBe(1);
    expect(outcome.err).toContain("no build for this platform (Plan9 mips)");
  });
});

test("tools/bun runs the pinned Bun from any directory", async () => {
  const manifest = (await Bun.file(join(root, "package.json")).json()) as { dependencies: Record<string, string> };
  const outcome = await run([join(root, "tools/bun"), "--version"], "/");
  expect(outcome.out.trim()).toBe(manifest.dependencies["bun"] ?? "none");
});
