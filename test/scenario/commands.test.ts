// The commands that talk to a running instance, and the demonstration.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { connect } from "./lib/client.ts";
import { startOrigin, type Origin } from "./lib/origin.ts";
import { sluiceCommand, startSluice, type Sluice } from "./lib/sluice.ts";
import { tied } from "./lib/tied.ts";
import { waitFor } from "./lib/wait.ts";

interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function run(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  cwd = "/tmp",
): Promise<Outcome> {
  const child = Bun.spawn(sluiceCommand(...args), {
    cwd,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, NO_COLOR: "1", ...env },
  });
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { code, out, err };
}

const token = "a-long-token-for-the-tests";
let origin: Origin;
let sluice: Sluice;
let admin: readonly string[] = [];

beforeAll(async () => {
  origin = startOrigin({ name: "a" });
  sluice = await startSluice(`
workers: 1
accessLog: off
admin: { bind: "127.0.0.1:0", token: ${token} }
listeners: { web: { bind: "127.0.0.1:0", forward: app } }
pools: { app: { balance: round-robin, endpoints: [{ id: a, address: "${origin.address}" }] } }
`);
  const ready = (await Bun.file(`${sluice.dir}/ready.json`).json()) as { admin: string };
  admin = ["--admin", ready.admin, "--token", token];
});

afterAll(async () => {
  await sluice.kill();
  await origin.close();
});

describe("status", () => {
  test("prints a table", async () => {
    const { code, out, err } = await run(["status", ...admin]);
    expect([code, err]).toEqual([0, ""]);
    expect(out).toMatch(/^sluice \S+ {2}running for /);
    expect(out).toMatch(/^LISTENER +ADDRESS/m);
    expect(out).toContain(sluice.address("web"));
    expect(out).toContain("POOL app  round-robin  1 of 1 endpoint usable");
    expect(out).toMatch(/^app\/a +unknown +1 +0 +0 +0 +- +- +127\.0\.0\.1:\d+$/m);
    expect(out).not.toMatch(/\u001b/);
  });

  test("--json prints what programs want", async () => {
    const { out } = await run(["status", "--json", ...admin]);
    expect(JSON.parse(out)).toMatchObject({ status: { state: "running" }, pools: [{ name: "app" }] });
  });

  test("takes the token from the environment, and says when it is missing", async () => {
    expect((await run(["status", ...admin.slice(0, 2)], { SLUICE_ADMIN_TOKEN: token })).code).toBe(0);
    const { code, err } = await run(["status", ...admin.slice(0, 2)], { SLUICE_ADMIN_TOKEN: "" });
    expect(code).toBe(1);
    expect(err).toContain("a token is needed");
  });

  test("says when nobody answers", async () => {
    const { code, err } = await run(["status", "--admin", "127.0.0.1:1"]);
    expect(code).toBe(1);
    expect(err).toContain("Is Sluice running?");
    expect((await run(["status", "--admin", "unix:/tmp/no-such.sock"])).err).toContain("Is Sluice running?");
    expect((await run(["status", "--admin", origin.address])).err).toContain("is not Sluice");
    expect((await run(["status", "--admin", "nonsense"])).code).toBe(2);
  });

  test("finds address and token in the configuration of the working directory", async () => {
    const { code, err } = await run(["status"], {}, sluice.dir);
    // The file says port 0, which is no address to call: the point is that it was read.
    expect(code).toBe(1);
    expect(err).toContain("127.0.0.1:0");
  });
});

describe("drain and ready", () => {
  test("drain --wait returns when the endpoint is idle, ready takes it back", async () => {
    using busy = await connect(sluice.address("web"));
    await busy.send("GET /slow?ms=700 HTTP/1.1\r\nHost: x\r\n\r\n");
    await waitFor(() => origin.stats().byPath["/slow"] === 1, { what: "the request to arrive" });
    const drained = await run(["drain", "--wait", "app/a", ...admin]);
    expect(drained).toMatchObject({ code: 0, out: "app/a is draining: 1 request in progress\napp/a is idle\n" });
    expect((await run(["status", ...admin])).out).toContain("operator: drain");
    expect(await run(["ready", "app/a", ...admin])).toMatchObject({ code: 0, out: "app/a is ready\n" });
  });

  test("drain --wait gives up in the end", async () => {
    using busy = await connect(sluice.address("web"));
    await busy.send("GET /never HTTP/1.1\r\nHost: x\r\n\r\n");
    await waitFor(() => origin.stats().byPath["/never"] === 1, { what: "the request to arrive" });
    const { code, err } = await run(["drain", "--wait", "--timeout", "300ms", "app/a", ...admin]);
    expect([code, err]).toEqual([1, "sluice drain: app/a still has 1 request in progress\n"]);
    await run(["ready", "app/a", ...admin]);
  });

  test("unknown endpoints and malformed names", async () => {
    const unknown = await run(["drain", "app/b", ...admin]);
    expect(unknown.code).toBe(1);
    expect(unknown.err).toContain('there is no endpoint "b"');
    expect((await run(["drain", "app", ...admin])).code).toBe(2);
    expect((await run(["ready", ...admin])).code).toBe(2);
  });
});

describe("reload", () => {
  test("prints what is different, or why not", async () => {
    const before = await Bun.file(`${sluice.dir}/sluice.yaml`).text();
    sluice.writeConfig(before.replace("balance: round-robin", "balance: least-connections"));
    const good = await run(["reload", ...admin]);
    expect([good.code, good.err]).toEqual([0, ""]);
    expect(good.out).toMatch(/^~ pool app: balance.*round-robin -> least-connections/);
    expect(good.out).toContain("generation 2 is in force");
    sluice.writeConfig(before.replace("forward: app", "forward: ap"));
    const bad = await run(["reload", ...admin]);
    expect(bad.code).toBe(1);
    expect(bad.err).toContain("generation 2 goes on");
    expect(bad.err).toMatch(/sluice\.yaml:\d+:\d+: error: /);
    sluice.writeConfig(before);
    expect((await run(["reload", ...admin])).code).toBe(0);
  });
});

describe("the command line", () => {
  test("help, version and mistakes", async () => {
    expect(await run([])).toMatchObject({ code: 2, out: "" });
    expect((await run(["--help"])).out).toContain("  drain    Give an endpoint nothing new");
    expect((await run(["--version"])).out).toMatch(/^sluice \d+\.\d+\.\d+\n$/);
    expect(await run(["stauts"])).toMatchObject({ code: 2, err: expect.stringContaining("did you mean status?") });
    for (const name of ["run", "demo", "check", "reload", "status", "drain", "ready", "limits", "schema"]) {
      const { code, out } = await run([name, "--help"]);
      expect([name, code]).toEqual([name, 0]);
      expect(out).toContain(`usage: sluice ${name}`);
    }
    expect((await run(["status", "--jsno"])).code).toBe(2);
  }, 20_000);
});

describe("demo", () => {
  test("serves from three back ends, goes round a killed one, and ends with its children", async () => {
    const child = Bun.spawn(tied(sluiceCommand("demo", "--port", "18480", "--admin", "18490")), {
      cwd: "/tmp",
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, NO_COLOR: "1" },
    });
    let out = "";
    void (async () => {
      for await (const piece of child.stdout) out += new TextDecoder().decode(piece);
    })();
    try {
      await waitFor(() => out.includes("Ctrl-C ends it."), { what: "the instructions" });
      const backends = new Map(
        [...out.matchAll(/^ {2}([abc]) {2}http:\S+ {2}pid (\d+)$/gm)].map((m) => [m[1]!, Number(m[2])]),
      );
      expect([...backends.keys()]).toEqual(["a", "b", "c"]);
      const ask = async (): Promise<string> => {
        const response = await fetch("http://127.0.0.1:18480/", { keepalive: false });
        expect(response.status).toBe(200);
        return response.headers.get("x-backend")!;
      };
      const first = [await ask(), await ask(), await ask()];
      expect(first.sort()).toEqual(["a", "b", "c"]);
      process.kill(backends.get("b")!, "SIGKILL");
      for (let i = 0; i < 9; i++) expect(await ask()).not.toBe("b");
      await waitFor(() => out.includes("back end b is gone (SIGKILL)"), { what: "the death to be told" });
      child.kill("SIGINT");
      expect(await child.exited).toBe(0);
      const isAlive = (pid: number): boolean => {
        try {
          process.kill(pid, 0);
          return true;
        } catch {
          return false;
        }
      };
      await waitFor(() => [...backends.values()].every((pid) => !isAlive(pid)), { what: "the back ends to be gone" });
    } finally {
      child.kill("SIGKILL");
    }
  }, 20_000);
});
