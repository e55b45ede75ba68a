// Weighted forward: the shares of pools, and clients that stay on their side of a canary through reloads, restarts and
// changes of the weights.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { binomialBounds } from "./lib/binomial.ts";
import { connect, request, requestBytes } from "./lib/client.ts";
import { startOrigin } from "./lib/origin.ts";
import { type Sluice, startSluice } from "./lib/sluice.ts";

const stable = startOrigin({ name: "stable" });
const canary = startOrigin({ name: "canary" });
const state = mkdtempSync(join(tmpdir(), "sluice-canary-"));
let sluice: Sluice;

const pools = `
pools:
  stable: { endpoints: ["${stable.address}"] }
  canary: { endpoints: ["${canary.address}"] }
  dead: { endpoints: ["127.0.0.1:1"] }
`;
const arms = (stableWeight: number, canaryWeight: number): string =>
  `[{ pool: stable, weight: ${stableWeight} }, { pool: canary, weight: ${canaryWeight} }]`;
const yaml = (forward: string, more = ""): string => `
workers: 2
accessLog: off
state: ${state}
${more}
listeners:
  plain: { bind: "127.0.0.1:0", forward: ${arms(90, 10)} }
  equal: { bind: "127.0.0.1:0", routes: [ { forward: [ { pool: stable }, { pool: canary } ] } ] }
  off: { bind: "127.0.0.1:0", forward: ${arms(0, 1)} }
  halfDead: { bind: "127.0.0.1:0", forward: [ { pool: dead }, { pool: stable } ] }
  sticky:
    bind: "127.0.0.1:0"
    trustedProxies: [127.0.0.2]
    routes:
      - match: { prefix: /other }
        forward: ${arms(1, 1)}
        sticky: { name: OTHER, ttl: off, sameSite: strict, path: /other }
      - { forward: ${forward}, sticky: {} }
${pools}`;

beforeAll(async () => {
  sluice = await startSluice(yaml(arms(90, 10)));
});
afterAll(async () => {
  await sluice.kill();
  await stable.close();
  await canary.close();
  rmSync(state, { recursive: true, force: true });
});

interface Visit {
  readonly side: string;
  /** The line that sets the cookie; null without. */
  readonly setCookie: string | null;
}

/** So many visits, pipelined over a few connections, all with this Cookie field if any. */
async function visits(listener: string, count: number, cookie: string | null = null, path = "/ok"): Promise<Visit[]> {
  const address = sluice.address(listener);
  const headers = cookie === null ? [] : [`Cookie: ${cookie}`];
  const batch = Math.min(50, count / 4);
  const bytes = Buffer.concat(Array.from({ length: batch }, () => requestBytes(address, { path, headers })));
  const one = async (): Promise<Visit[]> => {
    using client = await connect(address);
    const found: Visit[] = [];
    for (let sent = 0; sent < count / 4; sent += batch) {
      await client.send(bytes);
      for (let i = 0; i < batch; i++) {
        const response = await client.read();
        found.push({
          side: response.header("x-origin") ?? String(response.status),
          setCookie: response.header("set-cookie"),
        });
      }
    }
    return found;
  };
  return (await Promise.all([one(), one(), one(), one()])).flat();
}

const sidesOf = (all: readonly Visit[]): string[] => [...new Set(all.map(({ side }) => side))].toSorted();
const canaries = (all: readonly Visit[]): number => all.filter(({ side }) => side === "canary").length;

/** A cookie of each side, as a client would send it back. */
async function cookies(): Promise<{ stable: string; canary: string }> {
  const all = await visits("sticky", 200);
  const of = (wanted: string): string => all.find(({ side }) => side === wanted)!.setCookie!.split(";")[0]!;
  return { stable: of("stable"), canary: of("canary") };
}

/** Every one of a good many visits with each cookie stays on its side, and is given no new cookie. */
async function expectKept(known: { stable: string; canary: string }): Promise<void> {
  for (const side of ["stable", "canary"] as const) {
    const all = await visits("sticky", 80, known[side]);
    expect([side, sidesOf(all), all.filter(({ setCookie }) => setCookie !== null)]).toEqual([side, [side], []]);
  }
}

describe("shares", () => {
  // One false alarm in 10^9 runs: 200 of 2,000 are expected, and 124 to 288 pass.
  const { low, high } = binomialBounds(2000, 0.1, 1e9);

  test.each(["plain", "sticky"])("a tenth of 2,000 requests goes to the canary: %s", async (listener) => {
    expect([low > 100, high < 300]).toEqual([true, true]);
    const all = await visits(listener, 2000);
    expect(all.length).toBe(2000);
    expect(canaries(all)).toBeGreaterThanOrEqual(low);
    expect(canaries(all)).toBeLessThanOrEqual(high);
  });

  test("weights are equal unless given, and 0 is nothing", async () => {
    const half = binomialBounds(1000, 0.5, 1e9);
    const count = canaries(await visits("equal", 1000));
    expect([count >= half.low, count <= half.high]).toEqual([true, true]);
    expect(canaries(await visits("off", 400))).toBe(400);
  });

  test("a side that cannot answer costs its share, and no more", async () => {
    const address = sluice.address("halfDead");
    const all = await Promise.all(Array.from({ length: 60 }, async () => (await request(address)).status));
    expect([...new Set(all)].toSorted()).toEqual([200, 502]);
  });
});

describe("sticky", () => {
  test("the first answer brings the cookie, with its attributes", async () => {
    for (const [path, from, headers, wanted] of [
      ["/ok", "127.0.0.1", [], /^SLUICE_POOL=[\w-]{68}; Path=\/; Max-Age=86400; HttpOnly; SameSite=Lax$/],
      ["/other", "127.0.0.1", [], /^OTHER=[\w-]{68}; Path=\/other; HttpOnly; SameSite=Strict$/],
      ["/ok", "127.0.0.2", ["X-Forwarded-Proto: https"], /^SLUICE_POOL=[^;]+; .*; Secure(;|$)/],
      ["/ok", "127.0.0.1", ["X-Forwarded-Proto: https"], /^(?!.*Secure)SLUICE_POOL=/],
    ] as const) {
      const response = await request(sluice.address("sticky"), { path, from, headers });
      expect(response.header("set-cookie")).toMatch(wanted);
    }
    expect((await request(sluice.address("plain"))).header("set-cookie")).toBeNull();
  });

  test("with it a client stays on its side, in every worker, and gets no other", async () => {
    await expectKept(await cookies());
  });

  test("a cookie that is forged, cut, another's or far too long is a new client's", async () => {
    const known = await cookies();
    const [name, value] = known.canary.split("=") as [string, string];
    const forged = [
      `${name}=canary`,
      `${name}=`,
      `${name}=${value.slice(0, -1)}`,
      `${name}=${value.slice(0, 20)}${value[20] === "A" ? "B" : "A"}${value.slice(21)}`,
      `${name}=${"A".repeat(5000)}`,
      `OTHER=${value}`,
      `${name.toLowerCase()}=${value}`,
    ];
    for (const cookie of forged) {
      const [visit] = await visits("sticky", 4, cookie);
      expect([cookie, visit!.setCookie?.startsWith(`${name}=`)]).toEqual([cookie, true]);
    }
    // Behind rubbish of the same name the good one counts.
    const all = await visits("sticky", 40, `a=b; ${name}=rubbish; ${known.canary}`);
    expect(sidesOf(all)).toEqual(["canary"]);
  });

  test("sides survive reloads; also a weight of 0, but not their removal", async () => {
    const known = await cookies();
    for (const forward of [arms(90, 10), arms(1, 999), arms(100, 0)]) {
      expect((await sluice.reload(yaml(forward))).status).toBe(200);
      await expectKept(known);
    }
    expect(sidesOf(await visits("sticky", 40))).toEqual(["stable"]); // new clients
    expect((await sluice.reload(yaml("[{ pool: stable }, { pool: dead, weight: 0 }]"))).status).toBe(200);
    const moved = await visits("sticky", 40, known.canary);
    expect(sidesOf(moved)).toEqual(["stable"]);
    expect(moved.every(({ setCookie }) => setCookie !== null)).toBe(true);
    // The other way round: the pool comes back, and those who kept their cookie are where they were.
    expect((await sluice.reload(yaml(arms(90, 10)))).status).toBe(200);
    await expectKept(known);
  });

  test("sides survive a restart with the same state directory; with another one, if there is a secret", async () => {
    const known = await cookies();
    expect(await sluice.stop()).toBe(0);
    sluice = await startSluice(yaml(arms(90, 10)));
    await expectKept(known);

    const secret = `secret: "${"0123456789abcdef".repeat(2)}"`;
    expect((await sluice.reload(yaml(arms(90, 10), secret))).status).toBe(200);
    const shared = await cookies();
    await sluice.kill();
    rmSync(state, { recursive: true, force: true });
    sluice = await startSluice(yaml(arms(90, 10), secret));
    await expectKept(shared);
    const strangers = await visits("sticky", 40, known.canary);
    expect(strangers.every(({ setCookie }) => setCookie !== null)).toBe(true);
  });
});
