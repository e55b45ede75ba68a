// Stickiness and a pool together, as an exchange puts them to use: what becomes of a client when something becomes of
// its endpoint. Every kind of stickiness must pass.

import { describe, expect, test } from "bun:test";
import { Scratch } from "../../base/bytes.ts";
import { failure, FailureCause, Phase, Side } from "../../base/failure.ts";
import { parseIp } from "../../base/ip.ts";
import { seededRng } from "../../base/seeded-rng.ts";
import { markTried } from "../../balance/balancer.ts";
import { newPickState, resetPickState } from "../../balance/pick-state.ts";
import type { PassiveConfig } from "../../model/config.ts";
import type { StickyConfig } from "../../model/route-config.ts";
import { Admin, bumpEpoch, Health } from "../../stats/columns.ts";
import { createSealer } from "../../sys/sealer.ts";
import { Pool } from "../pool.ts";
import { sampleColumns, sampleMembers, samplePoolConfig, SetClock, type SampleEndpoint } from "../sample-pool.ts";
import { sharedTableWords } from "../../stats/shared-table.ts";
import { buildStickiness, sessionTableName, sessionTableWish } from "./build.ts";
import { StickyMark, type Stickiness } from "./stickiness.ts";
import { cookieConfig, pairOf, requestHead, responseHead, testKey } from "./test-kit.ts";
import { TokenBox } from "./token.ts";

const refused = failure(Side.Endpoint, Phase.Connect, FailureCause.Refused);

/** Endpoints, and clients that keep their cookies. */
class Site {
  readonly columns = sampleColumns();
  readonly clock = new SetClock();
  readonly pool: Pool;
  readonly sticky: Stickiness;
  readonly state = newPickState(8);
  readonly mark = new StickyMark();
  private readonly by: StickyConfig["by"];
  /** Client -> its cookie. */
  private readonly jar = new Map<string, string>();

  constructor(sticky: StickyConfig, endpoints: readonly SampleEndpoint[], passive: PassiveConfig | null = null) {
    this.by = sticky.by;
    const members = sampleMembers(this.columns, endpoints);
    const config = samplePoolConfig({ sticky, passive });
    this.pool = new Pool(config, members, this.columns, 0, seededRng(1), this.clock);
    const wish = sessionTableWish(config);
    const ids = members.map((member) => member.config.id);
    this.sticky = buildStickiness(config.name, sticky, ids, {
      clock: this.clock,
      box: new TokenBox(createSealer([testKey(1)])),
      seed: { k0: 1, k1: 2 },
      arena: new Int32Array(wish === null ? 0 : sharedTableWords(wish)),
      tables: { [sessionTableName(config.name)]: 0 },
    })!;
  }

  /** A request of this client; the endpoints in `broken` do not answer. Who did, -1 = nobody; it is not given back. */
  ask(client: string, broken: readonly number[] = []): number {
    const { pool, sticky, state, mark } = this;
    const cookie = this.jar.get(client);
    const head = requestHead(...(cookie === undefined ? [] : [`Cookie: ${cookie}`]));
    resetPickState(state, pool.members.length, this.clock.cachedMs);
    state.preferred = sticky.recall(mark, head, parseIp(client));
    for (;;) {
      const index = pool.acquire(state);
      if (index < 0) return -1;
      sticky.chosen(mark, index, pool.keepsPreferred(state));
      if (broken.includes(index)) {
        markTried(state, index);
        pool.release(index, refused, 0);
        continue;
      }
      this.answer(client, index);
      return index;
    }
  }

  /** As ask(), and over. */
  visit(client: string, broken: readonly number[] = []): number {
    const index = this.ask(client, broken);
    if (index >= 0) this.pool.release(index, 0, 1000);
    return index;
  }

  set(column: "health" | "admin" | "weight", row: number, value: number): void {
    this.columns[column][row] = value;
    bumpEpoch(this.columns);
  }

  private answer(client: string, index: number): void {
    const lines = new Scratch(256);
    const isNew = this.by === "app-cookie" && !this.jar.has(client);
    const head = responseHead(...(isNew ? [`Set-Cookie: SID=${client}; Path=/`] : []));
    this.sticky.answered(this.mark, index, this.pool.keepsPreferred(this.state), head, false, lines);
    if (isNew) this.jar.set(client, `SID=${client}`);
    if (lines.length > 0) this.jar.set(client, pairOf(String.fromCharCode(...lines.bytes.subarray(0, lines.length))));
  }
}

describe.each<readonly [string, StickyConfig]>([
  ["cookie", { by: "cookie", cookie: cookieConfig() }],
  ["app-cookie", { by: "app-cookie", name: "SID", ttlMs: 60_000, size: 1000 }],
  ["source-ip", { by: "source-ip", ttlMs: 60_000, size: 1000 }],
])("sticky by %s", (_, sticky) => {
  const open = (endpoints: readonly SampleEndpoint[] = [{}, {}, {}], passive: PassiveConfig | null = null): Site =>
    new Site(sticky, endpoints, passive);
  const often = (site: Site, client: string, times = 6): Set<number> =>
    new Set(Array.from({ length: times }, () => site.visit(client)));

  test("every client stays with one endpoint, and all endpoints have clients", () => {
    const site = open();
    const homes = Array.from({ length: 30 }, (_none, i) => [...often(site, `192.0.2.${i}`)]);
    expect(homes.every((home) => home.length === 1)).toBe(true);
    expect(new Set(homes.flat()).size).toBe(3);
  });

  test.each([
    ["drained", "admin", Admin.Drain],
    ["of weight 0", "weight", 0],
  ] as const)("an endpoint that is %s keeps its clients, and gets no new ones", (_state, column, value) => {
    const site = open();
    const home = site.visit("192.0.2.1");
    site.set(column, home, value);
    expect(often(site, "192.0.2.1")).toEqual(new Set([home]));
    for (let i = 2; i < 20; i++) expect(site.visit(`192.0.2.${i}`)).not.toBe(home);
  });

  test.each([
    ["down", "health", Health.Down],
    ["in maintenance", "admin", Admin.Maint],
  ] as const)("one that is %s loses them for good, in the same request", (_state, column, value) => {
    const site = open();
    const home = site.visit("192.0.2.1");
    const before = site.columns[column][home]!;
    site.set(column, home, value);
    const next = site.visit("192.0.2.1");
    expect(next).not.toBe(home);
    expect(next).not.toBe(-1);
    site.set(column, home, before);
    expect(often(site, "192.0.2.1")).toEqual(new Set([next]));
  });

  test("one that does not answer loses them to the one that does", () => {
    const site = open();
    const home = site.visit("192.0.2.1");
    const next = site.visit("192.0.2.1", [home]);
    expect(next).not.toBe(home);
    expect(often(site, "192.0.2.1")).toEqual(new Set([next]));
  });

  test("one that is held for its failures loses them", () => {
    const site = open([{}, {}, {}], { maxFails: 1, failTimeoutMs: 30_000 });
    const home = site.visit("192.0.2.1");
    site.visit("192.0.2.9", [home]);
    for (let i = 20; site.columns.heldUntilMs[home] === 0; i++) site.visit(`192.0.2.${i}`, [home]);
    expect(site.visit("192.0.2.1")).not.toBe(home);
  });

  test("one that is full sends them elsewhere, and has them back when it is not", () => {
    const site = open([{ maxConnections: 1 }, { maxConnections: 1 }, { maxConnections: 1 }]);
    const home = site.ask("192.0.2.1");
    const other = site.visit("192.0.2.1");
    expect(other).not.toBe(home);
    expect(other).not.toBe(-1);
    site.pool.release(home, 0, 1000);
    expect(often(site, "192.0.2.1")).toEqual(new Set([home]));
  });

  test("with nobody left there is nobody, and the client finds back afterwards", () => {
    const site = open();
    const home = site.visit("192.0.2.1");
    for (let i = 0; i < 3; i++) site.set("health", i, Health.Down);
    expect(site.visit("192.0.2.1")).toBe(-1);
    for (let i = 0; i < 3; i++) site.set("health", i, Health.Up);
    expect(often(site, "192.0.2.1")).toEqual(new Set([home]));
  });

  test("a client of a backup stays there when the primaries are back", () => {
    const site = open([{ health: Health.Down }, { backup: true }]);
    expect(site.visit("192.0.2.1")).toBe(1);
    site.set("health", 0, Health.Up);
    expect(often(site, "192.0.2.1")).toEqual(new Set([1]));
    expect(site.visit("192.0.2.2")).toBe(0);
  });
});
