// Whose address a condition on the source looks at: the connection's, or behind trusted proxies the one they forwarded;
// never the word of anybody else.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { request } from "./lib/client.ts";
import { startOrigin } from "./lib/origin.ts";
import { type Sluice, startSluice } from "./lib/sluice.ts";

const origin = startOrigin({ name: "a" });
const socketPath = join(tmpdir(), `sluice-source-${process.pid}.sock`);
let sluice: Sluice;

const names = `responseHeaders: { set: { x-route: "{route}" } }`;
const routes = `[
      { name: office, match: { source: [192.0.2.0/24, "2001:db8::/32", 127.0.0.9] }, forward: app, ${names} },
      { name: six, match: { source: "::/0" }, forward: app, ${names} },
      { name: four, match: { source: 0.0.0.0/0 }, forward: app, ${names} },
      { name: none, forward: app, ${names} },
    ]`;
const trusted = `trustedProxies: [127.0.0.2, "127.0.0.16/28"]`;

beforeAll(async () => {
  sluice = await startSluice(`
workers: 1
listeners:
  direct: { bind: "127.0.0.1:0", routes: ${routes} }
  six: { bind: "[::1]:0", routes: ${routes} }
  mapped: { bind: "[::]:0", routes: ${routes} }
  unix: { bind: "unix:${socketPath}", ${trusted}, routes: ${routes} }
  behind: { bind: "127.0.0.1:0", ${trusted}, routes: ${routes} }
  preserve: { bind: "127.0.0.1:0", ${trusted}, forwarded: preserve, routes: ${routes} }
  remove: { bind: "127.0.0.1:0", ${trusted}, forwarded: remove, routes: ${routes} }
pools: { app: { endpoints: ["${origin.address}"] } }
`);
});
afterAll(async () => {
  await sluice.kill();
  await origin.close();
});

/** The route that takes a request from this address with these X-Forwarded-For lines. */
async function routeOf(name: string, from: string | null, ...chain: string[]): Promise<string | null> {
  const headers = chain.map((value) => `X-Forwarded-For: ${value}`);
  const address = sluice.address(name).replace("[::]", "127.0.0.1");
  return (await request(address, { headers, ...(from === null ? {} : { from }) })).header("x-route");
}

test("the connection's address, of both families", async () => {
  expect(await routeOf("direct", "127.0.0.1")).toBe("four");
  expect(await routeOf("direct", "127.0.0.9")).toBe("office");
  expect(await routeOf("six", null)).toBe("six");
});

test("an IPv4 client of an IPv6 socket is an IPv4 client", async () => {
  expect(await routeOf("mapped", "127.0.0.9")).toBe("office");
  expect(await routeOf("mapped", "127.0.0.8")).toBe("four");
});

test("a client on a unix socket is in no block, whatever it says", async () => {
  expect(await routeOf("unix", null)).toBe("none");
  expect(await routeOf("unix", null, "192.0.2.1")).toBe("none");
});

test("what a client claims counts for nothing", async () => {
  expect(await routeOf("direct", "127.0.0.1", "192.0.2.1")).toBe("four");
  expect(await routeOf("behind", "127.0.0.1", "192.0.2.1")).toBe("four");
  expect(await routeOf("behind", "127.0.0.32", "192.0.2.1")).toBe("four");
});

for (const name of ["behind", "preserve", "remove"]) {
  test(`what a trusted proxy forwarded counts: ${name}`, async () => {
    const behind = (...chain: string[]): Promise<string | null> => routeOf(name, "127.0.0.2", ...chain);
    expect(await behind("192.0.2.77")).toBe("office");
    expect(await behind("2001:DB8::5")).toBe("office");
    expect(await behind("::ffff:192.0.2.77")).toBe("office");
    expect(await behind("198.51.100.1")).toBe("four");
    expect(await behind("2001:db9::5")).toBe("six");
    expect(await behind()).toBe("four"); // the proxy itself
    // The last one that is no trusted proxy: what stands before it, anybody could have written.
    expect(await behind("192.0.2.1, 198.51.100.1")).toBe("four");
    expect(await behind("198.51.100.1, 192.0.2.1, 127.0.0.17")).toBe("office");
    expect(await behind("192.0.2.1", "198.51.100.1")).toBe("four");
    // An entry that is no address ends the search.
    expect(await behind("192.0.2.1, unknown")).toBe("four");
    expect(await behind("192.0.2.1, unknown, 127.0.0.17")).toBe("four");
    expect(await behind("192.0.2.1, ")).toBe("four");
  });
}
