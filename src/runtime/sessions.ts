// What the supervisor does for sticky sessions: the keys of their cookies, and that the tables of sessions survive
// reloads, changes of their size, and restarts. Workers read and write the tables by themselves (pool/stickiness/).
//
// Nothing here can keep the balancer from running: what cannot be read or written is a warning, and sessions are then
// as mortal as this process.

import { sessionFileBytesMax, sessionSaveMs } from "../base/limits.ts";
import { LogLevel, type Clock } from "../base/ports.ts";
import { reasonOf } from "../base/reason.ts";
import type { TimerOwner, TimerWheel } from "../base/timer-wheel.ts";
import type { Config } from "../model/config.ts";
import { needsTokens, sessionTableWish } from "../pool/stickiness/build.ts";
import { setSeed, type Columns } from "../stats/columns.ts";
import type { HashSeed } from "../base/keyed-hash.ts";
import type { SharedTable } from "../stats/shared-table.ts";
import { openTable, type TableWish } from "../stats/table-arena.ts";
import {
  decodeSnapshot,
  encodeSnapshot,
  fillFrom,
  rowsOf,
  type Snapshot,
  wasUsedSince,
} from "../stats/table-snapshot.ts";
import type { StateDirectory } from "../sys/state-directory.ts";
import { CookieKeys } from "./cookie-keys.ts";
import type { Journal } from "./journal.ts";

export interface SessionsOptions {
  readonly clock: Clock;
  readonly timers: TimerWheel;
  readonly journal: Journal;
  readonly columns: Columns;
  /** Opens the state directory (Config.state). Throws an Error that says why there is none. */
  readonly openState: (configured: string | null) => StateDirectory;
}

/** A table in force. */
interface Live {
  readonly wish: TableWish;
  readonly at: number;
  readonly ttlMs: number;
  readonly table: SharedTable;
}

const fileName = "sessions";

export class Sessions implements TimerOwner {
  private readonly options: SessionsOptions;
  private readonly keys: CookieKeys;
  private readonly timer: number;
  private state: StateDirectory | null = null;
  /** What the state directory was opened for; undefined = not yet. */
  private place: string | null | undefined = undefined;
  private seed: HashSeed;
  /** Read at the first start, and gone once its tables are filled. */
  private saved: Snapshot | null = null;
  private hasStarted = false;
  private live: ReadonlyMap<string, Live> = new Map();
  private savedMs = -Infinity;
  private trouble = "";

  constructor(options: SessionsOptions) {
    this.options = options;
    this.keys = new CookieKeys(options.journal);
    this.timer = options.timers.open(this);
    this.seed = options.columns.seed;
  }

  /**
   * Before a plan is made, and at the first start before any worker is: reads what was kept. Returns the keys of
   * cookies for the plan, newest first; none if nothing needs them.
   */
  prepare(config: Config): readonly string[] {
    const hasTables = wishesOf(config).length > 0;
    const hasCookies = needsTokens(config);
    if (hasTables || hasCookies) {
      const trouble = this.openState(config.state);
      if (trouble !== "" && (hasTables || config.secret === null)) this.complain(`no state directory: ${trouble}`);
    }
    if (hasTables && !this.hasStarted) this.saved = this.load();
    return hasCookies ? this.keys.inForce(config.secret, this.state, this.options.clock.wallMs()) : [];
  }

  /**
   * The plan's tables are in place (TableArena.commit), and no worker uses the new ones yet: they are given what is
   * known. offsets: Plan.tables. To be called again are, once every worker follows the plan, the returned function:
   * what old tables learned meanwhile comes after.
   */
  enforce(config: Config, offsets: Readonly<Record<string, number>>): () => void {
    const { clock, columns } = this.options;
    const nowMs = clock.nowMs();
    const before = this.live;
    const after = new Map<string, Live>();
    const moves: { readonly from: SharedTable; readonly to: Live }[] = [];
    for (const { wish, ttlMs } of wishesOf(config)) {
      const at = offsets[wish.name];
      if (at === undefined) continue;
      const now: Live = { wish, at, ttlMs, table: openTable(columns.arena, at, wish) };
      after.set(wish.name, now);
      const old = before.get(wish.name);
      if (old === undefined) this.fillSaved(now, nowMs);
      else if (old.at !== at) moves.push({ from: old.table, to: now });
    }
    const move = (): void => {
      const thenMs = clock.nowMs();
      for (const { from, to } of moves) fillFrom(to.table, rowsOf(from, thenMs), thenMs, 0, to.ttlMs);
    };
    move();
    this.live = after;
    this.saved = null;
    this.hasStarted = true;
    if (after.size === 0) this.options.timers.clear(this.timer);
    else if (before.size === 0) this.options.timers.set(this.timer, nowMs + sessionSaveMs);
    return move;
  }

  onDeadline(): void {
    this.save();
    this.options.timers.set(this.timer, this.options.clock.nowMs() + sessionSaveMs);
  }

  /** Saves the tables if anything in them is new. */
  save(): void {
    const { state, live } = this;
    if (state === null || live.size === 0) return;
    const nowMs = this.options.clock.nowMs();
    if (![...live.values()].some(({ table }) => wasUsedSince(table, this.savedMs, nowMs))) return;
    const tables = new Map([...live].map(([name, { table }]) => [name, rowsOf(table, nowMs)] as const));
    const madeS = this.options.clock.wallMs() / 1000;
    try {
      state.write(fileName, encodeSnapshot({ seed: this.seed, madeS, tables }));
      this.savedMs = nowMs;
      this.trouble = "";
    } catch (error) {
      this.complain(reasonOf(error));
    }
  }

  /** The last save. */
  stop(): void {
    this.options.timers.clear(this.timer);
    this.save();
  }

  /** "" or why there is none. */
  private openState(place: string | null): string {
    if (this.state !== null && this.place === place) return "";
    this.place = place;
    try {
      this.state = this.options.openState(place);
      this.savedMs = -Infinity; // what another place has is not here
      return "";
    } catch (error) {
      this.state = null;
      return reasonOf(error);
    }
  }

  /** What the last run left; the seed of its hashes is then ours. */
  private load(): Snapshot | null {
    const { state } = this;
    if (state === null) return null;
    try {
      const bytes = state.read(fileName, sessionFileBytesMax);
      if (bytes === null) return null;
      const snapshot = decodeSnapshot(bytes);
      if (typeof snapshot === "string") {
        this.warn("saved sessions are not used", `${state.path}/${fileName}: ${snapshot}`);
        return null;
      }
      const { k0, k1 } = snapshot.seed;
      setSeed(this.options.columns.control.buffer, Uint32Array.of(k0, k1));
      this.seed = snapshot.seed;
      return snapshot;
    } catch (error) {
      this.warn("saved sessions are not used", reasonOf(error));
      return null;
    }
  }

  private fillSaved({ wish, table, ttlMs }: Live, nowMs: number): void {
    const rows = this.saved?.tables.get(wish.name);
    if (rows === undefined) return;
    const olderMs = Math.max(0, this.options.clock.wallMs() - this.saved!.madeS * 1000);
    fillFrom(table, rows, nowMs, olderMs, ttlMs);
  }

  /** Says once what keeps sessions from being saved. */
  private complain(reason: string): void {
    if (reason !== this.trouble) this.warn("sticky sessions are not kept, they end with this process", reason);
    this.trouble = reason;
  }

  private warn(event: string, reason: string): void {
    this.options.journal.record(LogLevel.Warn, event, { reason });
  }
}

interface SessionWish {
  readonly wish: TableWish;
  readonly ttlMs: number;
}

function wishesOf(config: Config): SessionWish[] {
  return config.pools.flatMap((pool) => {
    const wish = sessionTableWish(pool);
    return wish === null || pool.sticky === null || pool.sticky.by === "cookie"
      ? []
      : [{ wish, ttlMs: pool.sticky.ttlMs }];
  });
}
