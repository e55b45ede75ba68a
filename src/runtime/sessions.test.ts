// Tables of sessions through reloads, changes of size and restarts, with workers that are only their stickiness.

import { beforeEach, describe, expect, test } from "bun:test";
import { sessionSaveMs } from "../base/limits.ts";
import { loadText } from "../config/load.ts";
import type { Config } from "../model/config.ts";
import type { StickyConfig } from "../model/route-config.ts";
import { buildStickiness, sessionTableWish } from "../pool/stickiness/build.ts";
import { cookieConfig } from "../pool/stickiness/test-kit.ts";
import { StickyMark, type Stickiness } from "../pool/stickiness/stickiness.ts";
import { Head } from "../wire/head.ts";
import { columnsBytes, openColumns, setSeed, type Columns } from "../stats/columns.ts";
import { TableArena } from "../stats/table-arena.ts";
import { parseIp } from "../base/ip.ts";
import { FakeState } from "./fake-state.ts";
import { FakeWorld } from "./fakes.ts";
import { Journal } from "./journal.ts";
import { Sessions } from "./sessions.ts";

const head = new Head(1);
const ids = ["a:1", "b:1", "c:1"];
const minute = 60_000;
const bySource: StickyConfig = { by: "source-ip", ttlMs: 10 * minute, size: 2000 };

/** A configuration whose pools have this stickiness. */
function configOf(pools: Readonly<Record<string, StickyConfig | null>>, change: Partial<Config> = {}): Config {
  const names = Object.keys(pools);
  const text = `listeners: { web: { bind: 127.0.0.1:0, forward: ${names[0]} } }
pools: { ${names.map((name) => `${name}: { endpoints: [127.0.0.1:1] }`).join(", ")} }`;
  const { config } = loadText(text, "test.yaml");
  const withSticky = config!.pools.map((pool) => ({ ...pool, sticky: pools[pool.name]! }));
  return { ...config!, pools: withSticky, ...change };
}

/** One run of the balancer. */
class Run {
  readonly world: FakeWorld;
  readonly sessions: Sessions;
  readonly places: (string | null)[] = [];
  keys: readonly string[] = [];
  private readonly columns: Columns;
  private readonly memory: ArrayBuffer;
  private readonly arena: TableArena;
  private readonly size = { workers: 1, listeners: 1, endpoints: 1, tableBytes: 1024 * 1024 };
  private tables: Readonly<Record<string, number>> = {};
  private config: Config | null = null;
  private generation = 0;

  constructor(state: FakeState, world: FakeWorld, seed: number) {
    this.world = world;
    this.memory = new ArrayBuffer(columnsBytes(this.size));
    setSeed(this.memory, Uint32Array.of(seed, seed));
    this.columns = openColumns(this.memory, this.size);
    this.arena = new TableArena(this.columns.arena);
    this.sessions = new Sessions({
      clock: world.env.clock,
      timers: world.env.timers,
      journal: new Journal(world.env.clock, world.env.log),
      columns: this.columns,
      openState: (configured) => {
        this.places.push(configured);
        if (state.trouble !== "") throw new Error(state.trouble);
        return state;
      },
    });
  }

  /** Puts a configuration in force; `meanwhile` happens between the workers' switch and its end. */
  apply(config: Config, meanwhile: () => void = () => {}): void {
    this.keys = this.sessions.prepare(config);
    const wishes = config.pools.map(sessionTableWish).filter((wish) => wish !== null);
    const proposal = this.arena.propose(wishes)!;
    this.arena.commit(proposal, this.generation++);
    const done = this.sessions.enforce(config, proposal.offsets);
    meanwhile();
    this.tables = proposal.offsets;
    this.config = config;
    done();
  }

  /** The stickiness of a worker that starts now. */
  worker(pool = "app"): Stickiness {
    const { seed, arena } = openColumns(this.memory, this.size);
    const { sticky } = this.config!.pools.find(({ name }) => name === pool)!;
    const { clock } = this.world.env;
    const parts = { clock: { ...clock, cachedMs: clock.nowMs() }, box: null, seed, arena, tables: this.tables };
    return buildStickiness(pool, sticky, ids, parts)!;
  }
}

const mark = new StickyMark();
const address = (client: number): Uint8Array => parseIp(`192.0.2.${client}`)!;
const who = (worker: Stickiness, client: number): number => worker.recall(mark, head, address(client));
const bind = (worker: Stickiness, client: number, index: number): void => {
  worker.recall(mark, head, address(client));
  worker.chosen(mark, index, false);
};

let state: FakeState;
let world: FakeWorld;
let run: Run;
beforeEach(() => {
  state = new FakeState();
  world = new FakeWorld();
  run = new Run(state, world, 1);
});

describe("tables", () => {
  test("stay through reloads that do not change them", () => {
    run.apply(configOf({ app: bySource }));
    bind(run.worker(), 1, 2);
    run.apply(configOf({ app: { ...bySource, ttlMs: minute }, other: bySource }));
    expect(who(run.worker(), 1)).toBe(2);
    expect(who(run.worker("other"), 1)).toBe(-1);
  });

  test("of another size are filled from the old, with what came in the meantime", () => {
    run.apply(configOf({ app: bySource }));
    const old = run.worker();
    for (let client = 1; client <= 100; client++) bind(old, client, client % 3);
    run.apply(configOf({ app: { ...bySource, size: 9000 } }), () => bind(old, 101, 1));
    const now = run.worker();
    for (let client = 1; client <= 101; client++) {
      expect([client, who(now, client)]).toEqual([client, client === 101 ? 1 : client % 3]);
    }
    expect(who(now, 102)).toBe(-1);
  });

  test("that are taken away are forgotten", () => {
    run.apply(configOf({ app: bySource }));
    bind(run.worker(), 1, 2);
    run.apply(configOf({ app: null }));
    run.apply(configOf({ app: { ...bySource, size: 100 } }));
    expect(who(run.worker(), 1)).toBe(-1);
  });
});

describe("a restart", () => {
  /** Another process on another day: a clock of its own, another seed. */
  function again(awayMs: number): Run {
    const later = new FakeWorld();
    const { clock } = later.env;
    const wallMs = world.env.clock.wallMs() + awayMs - clock.nowMs();
    Object.assign(later.env, { clock: { ...clock, nowMs: () => later.nowMs, wallMs: () => wallMs + later.nowMs } });
    return new Run(state, later, 99);
  }

  test("finds the sessions again, under the seed they were hashed with, as old as they are", () => {
    run.apply(configOf({ app: bySource, other: bySource }));
    bind(run.worker(), 1, 2);
    world.nowMs += 6 * minute;
    bind(run.worker(), 2, 1);
    run.sessions.stop();
    const next = again(5 * minute);
    next.apply(configOf({ app: bySource }));
    expect(who(next.worker(), 1)).toBe(-1); // eleven minutes
    expect(who(next.worker(), 2)).toBe(1);
    next.world.nowMs += 6 * minute;
    expect(who(next.worker(), 2)).toBe(1); // it was used
    next.sessions.stop();
    expect(next.world.lines).toEqual([]);
    const third = again(6 * minute);
    third.apply(configOf({ app: { ...bySource, size: 50 } }));
    expect(who(third.worker(), 2)).toBe(1);
  });

  test("without sessions in its first configuration has none later", () => {
    run.apply(configOf({ app: bySource }));
    bind(run.worker(), 1, 2);
    run.sessions.stop();
    const next = again(0);
    next.apply(configOf({ app: null }));
    next.apply(configOf({ app: bySource }));
    expect(who(next.worker(), 1)).toBe(-1);
  });

  test.each([
    ["damaged", (file: Uint8Array) => file.fill(7, 40, 60), "its checksum is wrong"],
    ["cut", (file: Uint8Array) => file.subarray(0, 50), "its checksum is wrong"],
    ["of something else", () => new TextEncoder().encode("{}"), "it is no snapshot of tables"],
  ] as const)("after which the file is %s begins with none, and says so", (_, damage, reason) => {
    run.apply(configOf({ app: bySource }));
    bind(run.worker(), 1, 2);
    run.sessions.stop();
    state.files.set("sessions", damage(state.files.get("sessions")!));
    const next = again(0);
    next.apply(configOf({ app: bySource }));
    expect(who(next.worker(), 1)).toBe(-1);
    expect(next.world.lines).toEqual([`W saved sessions are not used reason=/state/sessions: ${reason}`]);
    bind(next.worker(), 1, 0);
    next.sessions.stop();
    const third = again(0);
    third.apply(configOf({ app: bySource }));
    expect(who(third.worker(), 1)).toBe(0);
  });
});

describe("saving", () => {
  test("is done once a minute, when something has changed", async () => {
    run.apply(configOf({ app: bySource }));
    await world.pass(sessionSaveMs * 2);
    expect(state.writes).toBe(0);
    bind(run.worker(), 1, 2);
    await world.pass(sessionSaveMs);
    expect(state.writes).toBe(1);
    await world.pass(sessionSaveMs * 2);
    expect(state.writes).toBe(1);
    expect(who(run.worker(), 1)).toBe(2);
    await world.pass(sessionSaveMs);
    expect(state.writes).toBe(2);
    run.sessions.stop();
    expect(state.writes).toBe(2);
    bind(run.worker(), 3, 2);
    await world.pass(sessionSaveMs * 2);
    expect(state.writes).toBe(2);
  });

  test("that fails is told once, and again when it fails anew", async () => {
    run.apply(configOf({ app: bySource }));
    state.trouble = "cannot write sessions: no space left on the device";
    const line = `W sticky sessions are not kept, they end with this process reason=${state.trouble}`;
    for (let k = 0; k < 3; k++) {
      bind(run.worker(), k, 2);
      await world.pass(sessionSaveMs);
    }
    expect(world.lines).toEqual([line]);
    const { trouble } = state;
    state.trouble = "";
    await world.pass(sessionSaveMs);
    expect(state.writes).toBe(1);
    state.trouble = trouble;
    bind(run.worker(), 9, 2);
    await world.pass(sessionSaveMs);
    expect(world.lines).toEqual([line, line]);
  });
});

describe("the state directory", () => {
  const byCookie: StickyConfig = { by: "cookie", cookie: cookieConfig() };

  test("is not opened when nothing is sticky", () => {
    run.apply(configOf({ app: null }, { state: "/x" }));
    run.sessions.stop();
    expect(run.places).toEqual([]);
    expect(run.keys).toEqual([]);
  });

  test("is the configured one, opened once for as long as it is", () => {
    run.apply(configOf({ app: byCookie }, { state: "/x" }));
    run.apply(configOf({ app: bySource }, { state: "/x" }));
    run.apply(configOf({ app: bySource }));
    expect(run.places).toEqual(["/x", null]);
  });

  test("keeps the keys of cookies", () => {
    run.apply(configOf({ app: byCookie }));
    const { keys } = run;
    expect(keys.length).toBe(1);
    const next = new Run(state, world, 5);
    next.apply(configOf({ app: byCookie }));
    expect(next.keys).toEqual(keys);
  });

  test("that cannot be had is told, unless it is not needed", () => {
    state.trouble = "/x: it cannot be written (EACCES)";
    run.apply(configOf({ app: byCookie }, { secret: "a secret of thirty-two characters" }));
    expect(world.lines).toEqual([]);
    run.apply(configOf({ app: byCookie }));
    const reason = "no state directory: /x: it cannot be written (EACCES)";
    expect(world.lines).toEqual([`W sticky sessions are not kept, they end with this process reason=${reason}`]);
    const { keys } = run;
    run.apply(configOf({ app: bySource, web: byCookie }));
    expect(run.keys).toEqual(keys);
    bind(run.worker(), 1, 2);
    expect(who(run.worker(), 1)).toBe(2);
    run.sessions.stop();
    expect(world.lines.length).toBe(1);
  });
});
