// Everything that can be listened on and connected to: IPv4, IPv6, unix sockets with and without a file, host names,
// and several of them at once.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { becomes, endpoint, events } from "./lib/admin.ts";
import { logged } from "./lib/access-log.ts";
import { request } from "./lib/client.ts";
import { runSluice } from "./lib/command.ts";
import { type Origin, startOrigin } from "./lib/origin.ts";
import { type Sluice, startSluice } from "./lib/sluice.ts";

const dir = mkdtempSync(join(tmpdir(), "sluice-addresses-"));
const path = (name: string): string => join(dir, name);
const abstract = `sluice-test-${process.pid}`;
const origin = startOrigin({ name: "a" });
const origins: Record<string, Origin> = {
  file: startOrigin({ name: "file", unixPath: path("origin.sock") }),
  abstract: startOrigin({ name: "abstract", unixPath: `\0${abstract}-origin` }),
  six: startOrigin({ name: "six", ip: "::1" }),
};
let sluice: Sluice;

beforeAll(async () => {
  sluice = await startSluice(`
workers: 2
admin: { bind: "unix:${path("admin.sock")}" }
listeners:
  several: { bind: ["127.0.0.1:0", "127.0.0.2:0", "[::1]:0", "unix:${path("web.sock")}"], forward: app }
  both: { bind: "[::]:0", forward: app }
  abstract: { bind: "unix:@${abstract}", forward: app }
  toFile: { bind: "127.0.0.1:0", forward: file }
  toAbstract: { bind: "127.0.0.1:0", forward: abstract }
  toSix: { bind: "127.0.0.1:0", forward: six }
  toName: { bind: "127.0.0.1:0", forward: name }
pools:
  app: { endpoints: ["${origin.address}"] }
  file: { endpoints: ["${origins["file"]!.address}"], health: { interval: 50ms } }
  abstract: { endpoints: ["unix:@${abstract}-origin"], health: { interval: 50ms } }
  six: { endpoints: ["${origins["six"]!.address}"], health: { interval: 50ms } }
  name: { endpoints: ["localhost:${origin.port}"], health: { interval: 50ms }, resolve: { min: 100ms, max: 200ms } }
`);
});
afterAll(async () => {
  await sluice.kill();
  await origin.close();
  for (const each of Object.values(origins)) await each.close();
  rmSync(dir, { recursive: true, force: true });
});

/** What the endpoint learned about the client of its last request for /echo. */
function learned(): Record<string, string> {
  const fields = origin.last("/echo").headers.map(([name, value]): [string, string] => [name.toLowerCase(), value]);
  return Object.fromEntries(fields);
}

test("several addresses of one listener serve alike, each under its own port", async () => {
  const [first, second, six, file] = sluice.ports()["several"]!;
  expect(first).toStartWith("127.0.0.1:");
  expect(second).toStartWith("127.0.0.2:");
  expect(six).toStartWith("[::1]:");
  expect(file).toBe(`unix:${path("web.sock")}`);
  for (const [address, client] of [
    [first!, "127.0.0.1"],
    [second!, "127.0.0.1"],
    [six!, "::1"],
  ] as const) {
    for (let i = 0; i < 4; i++) expect((await request(address, { path: "/echo" })).status).toBe(200);
    const fields = learned();
    expect([fields["x-forwarded-for"], fields["x-real-ip"]]).toEqual([client, client]);
    expect(fields["x-forwarded-port"]).toBe(address.slice(address.lastIndexOf(":") + 1));
  }
});

test("[::] takes clients of IPv4 too, under their own address", async () => {
  const port = sluice.address("both").split("]:")[1]!;
  for (const [address, client] of [
    [`127.0.0.1:${port}`, "127.0.0.1"],
    [`[::1]:${port}`, "::1"],
  ] as const) {
    const target = `/echo?${client}`;
    expect((await request(address, { path: target })).status).toBe(200);
    expect(learned()["x-forwarded-for"]).toBe(client);
    expect((await logged(sluice, (entry) => entry.target === target)).client).toBe(client);
  }
});

test("unix sockets serve, with a file and without one", async () => {
  for (const address of [`unix:${path("web.sock")}`, `unix:\0${abstract}`]) {
    for (let i = 0; i < 6; i++) {
      const response = await request(address, { path: "/echo", headers: ["Host: shop.example"] });
      expect(response.status).toBe(200);
    }
    const fields = learned();
    expect([fields["host"], fields["x-forwarded-proto"]]).toEqual(["shop.example", "http"]);
    // There is no address and no port to tell; nginx says the same.
    expect([fields["x-forwarded-for"], fields["x-real-ip"]]).toEqual(["unix:", "unix:"]);
    expect(fields["x-forwarded-port"]).toBeUndefined();
  }
});

test("endpoints on unix sockets and IPv6 answer requests and checks", async () => {
  for (const [listener, name] of [
    ["toFile", "file"],
    ["toAbstract", "abstract"],
    ["toSix", "six"],
  ] as const) {
    const response = await request(sluice.address(listener), { path: "/ok" });
    expect([response.status, response.header("x-origin")]).toEqual([200, name]);
    const id = name === "abstract" ? `unix:@${abstract}-origin` : origins[name]!.address;
    await becomes(sluice, name, id, { health: "up" });
    expect(origins[name]!.stats().byPath["/health"]).toBeGreaterThan(0);
  }
  expect(origins["six"]!.last("/health").headers).toContainEqual(["Host", origins["six"]!.address]);
});

test("an endpoint given by host name is resolved, and shown with its address", async () => {
  const id = `localhost:${origin.port}`;
  expect((await request(sluice.address("toName"))).status).toBe(200);
  const view = await becomes(sluice, "name", id, { health: "up" });
  expect([view.address, view.resolved]).toEqual([id, "127.0.0.1"]);
  expect(origin.last("/health").headers).toContainEqual(["Host", id]);
  const shown = await runSluice(["status", "--admin", `unix:${path("admin.sock")}`]);
  expect(shown.stdout).toContain("= 127.0.0.1");
});

test("a name that does not resolve does not stop the start: its endpoint is down, with a warning", async () => {
  await using alone = await startSluice(`
workers: 1
accessLog: off
listeners: { web: { bind: "127.0.0.1:0", forward: app }, other: { bind: "127.0.0.1:0", forward: half } }
pools:
  app: { endpoints: ["nobody.invalid:80"] }
  half: { balance: round-robin, endpoints: ["nobody.invalid:80", "${origin.address}"] }
`);
  expect((await request(alone.address("web"))).status).toBe(503);
  for (let i = 0; i < 4; i++) expect((await request(alone.address("other"))).status).toBe(200);
  const view = await endpoint(alone, "app", "nobody.invalid:80");
  expect(view).toMatchObject({ health: "down", usable: false, resolved: null, reason: "host name does not resolve" });
  expect(alone.stderr()).toMatch(/level=warn .*name=nobody\.invalid/);
  expect((await events(alone, "health changed")).map(({ fields }) => fields["to"])).toContain("down");
}, 20_000);

test("a socket file that is left over is taken, one in use or an ordinary file is not; ours goes with us", async () => {
  const yaml = (file: string): string =>
    `admin: off\naccessLog: off\nlisteners: { web: { bind: "unix:${path(file)}", forward: app } }\n` +
    `pools: { app: { endpoints: ["${origin.address}"] } }\n`;
  const first = await startSluice(yaml("own.sock"));
  expect((await request(`unix:${path("own.sock")}`)).status).toBe(200);
  await first.kill(); // too quickly to tidy up
  expect(existsSync(path("own.sock"))).toBe(true);
  await using second = await startSluice(yaml("own.sock"));
  expect((await request(`unix:${path("own.sock")}`)).status).toBe(200);
  writeFileSync(path("plain"), "precious");
  for (const file of ["web.sock", "plain"]) {
    const { code, stderr } = await runSluice(["run", "sluice.yaml"], { files: { "sluice.yaml": yaml(file) } });
    expect([file, code]).toEqual([file, 3]);
    expect(stderr).toContain(`cannot listen on unix:${path(file)}`);
  }
  expect(readFileSync(path("plain"), "utf8")).toBe("precious");
  expect(await second.stop()).toBe(0);
  expect(existsSync(path("own.sock"))).toBe(false);
}, 20_000);
