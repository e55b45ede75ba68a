// `sluice demo`, as somebody sees it who has just installed it: it serves, survives the death of a back end, and leaves
// nothing behind when Ctrl-C ends it.

import { expect, test } from "bun:test";
import { readTree } from "../../bench/lib/proc-stat.ts";
import { request } from "./lib/client.ts";
import { runSluice } from "./lib/command.ts";
import { startOrigin } from "./lib/origin.ts";
import { sluiceCommand } from "./lib/sluice.ts";
import { killGroup, tied } from "./lib/tied.ts";
import { waitFor } from "./lib/wait.ts";

/** Two ports that were free a moment ago. */
async function freePorts(): Promise<[string, string]> {
  await using first = startOrigin({ name: "first" });
  await using second = startOrigin({ name: "second" });
  return [String(first.port), String(second.port)];
}

test("the demonstration serves, goes round a dead back end, and ends with every process at Ctrl-C", async () => {
  const [port, admin] = await freePorts();
  const child = Bun.spawn(tied(sluiceCommand("demo", "--port", port, "--admin", admin)), {
    cwd: "/",
    detached: true, // a process group of its own, as a terminal would give it
    stdio: ["ignore", "pipe", "pipe"],
  });
  try {
    let printed = "";
    void (async () => {
      const decoder = new TextDecoder();
      for await (const piece of child.stdout) printed += decoder.decode(piece, { stream: true });
    })();
    await waitFor(() => printed.includes("Ctrl-C ends it."), { what: "the instructions", timeoutMs: 15_000 });
    expect(printed).not.toContain("\x1b");
    const web = `127.0.0.1:${port}`;
    const who = async (): Promise<string> => (await request(web, { path: "/" })).header("x-backend") ?? "?";
    expect([await who(), await who(), await who()].sort()).toEqual(["a", "b", "c"]);
    const seen = JSON.parse((await request(web, { path: "/headers" })).text()) as { headers: Record<string, string> };
    expect(seen.headers["x-forwarded-for"]).toBe("127.0.0.1");
    // What it says to try, is tried.
    const victim = Number(/kill -9 (\d+)/.exec(printed)![1]);
    process.kill(victim, "SIGKILL");
    for (let i = 0; i < 12; i++) expect(["b", "c"]).toContain(await who());
    const drained = await runSluice(["drain", "--admin", `127.0.0.1:${admin}`, "app/b"]);
    expect(drained.code).toBe(0);
    for (let i = 0; i < 4; i++) expect(await who()).toBe("c");
    const { stdout } = await runSluice(["status", "--admin", `127.0.0.1:${admin}`]);
    expect(stdout).toMatch(/^app\/a .*(connection refused|failed too often.*)$/m);
    expect(stdout).toMatch(/^app\/b +up, drain .*operator: drain$/m);
    const processes = readTree(child.pid).map(({ pid }) => pid);
    expect(processes.length).toBe(4); // supervisor, worker, two back ends
    process.kill(-child.pid, "SIGINT");
    expect(await child.exited).toBe(0);
    await waitFor(() => processes.every((pid) => readTree(pid).length === 0), { what: "every process to be gone" });
  } finally {
    killGroup(child.pid);
  }
}, 30_000);

test("ports that make no sense are refused", async () => {
  for (const args of [["--port", "0"], ["--port", "x"], ["--admin", "70000"], ["--prot", "1"], ["file.yaml"]]) {
    expect([args, (await runSluice(["demo", ...args])).code]).toEqual([args, 2]);
  }
});
