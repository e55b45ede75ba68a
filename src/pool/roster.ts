// Who of a pool may be used just now, and with which weight: the one place where the operator's word, active health,
// passive holds, ejections, slow start and addresses become "usable". Computed on change, not per request; requests
// read the tables.

import { WEIGHT_SCALE, type EndpointTable } from "../balance/balancer.ts";
import { hashText, mix32 } from "../base/hash.ts";
import type { Target } from "../base/ports.ts";
import type { EndpointConfig, PassiveConfig, PoolConfig } from "../model/config.ts";
import { Admin, Health, type Columns } from "../stats/columns.ts";
import { outlierOf } from "./outlier.ts";
import { isOnTrial } from "./passive.ts";
import { rampAt, rampStepMs } from "./slow-start.ts";

export interface Member {
  readonly config: EndpointConfig;
  /** Row in the shared columns. */
  readonly row: number;
  /** Where to connect; null while its name does not resolve. */
  target: Target | null;
}

const USABLE = 1;
/** Would be usable if health and holds did not speak against it: what "noneHealthy: all" falls back on. */
const IN_SERVICE = 2;
const STICKY = 4;
const STICKY_IN_SERVICE = 8;
const ON_TRIAL = 16;

export class Roster {
  /**
   * Primaries and backups. Both have an entry for every member, in its order; whoever is in the other group is not
   * usable.
   */
  readonly primaries: EndpointTable;
  readonly backups: EndpointTable;
  /** 1 where a request that belongs there may still go: drained and weight 0 included. */
  readonly sticky: Uint8Array;
  readonly hasBackups: boolean;
  /** Members that take new requests. */
  usableCount = 0;
  /** Monotonic ms from which update() would find something else without any word from outside; Infinity = never. */
  nextChangeMs = -Infinity;
  /** Monotonic ms at which the first of those that are only held or ejected is back; Infinity = there is none. */
  returnsAtMs = Infinity;

  private readonly config: PoolConfig;
  private readonly passive: PassiveConfig | null;
  private readonly ejects: boolean;
  private readonly members: readonly Member[];
  private readonly columns: Columns;
  private readonly flags: Uint8Array;
  /** The hold whose trial limit was computed, and that limit. */
  private readonly trialOf: Float64Array;
  private readonly trialMax: Int32Array;

  constructor(config: PoolConfig, members: readonly Member[], columns: Columns) {
    const count = members.length;
    this.config = config;
    this.passive = passiveOf(config, count);
    this.ejects = outlierOf(config, count) !== null;
    this.members = members;
    this.columns = columns;
    const shared = {
      count,
      weight: new Int32Array(count),
      ramp: new Int32Array(count).fill(WEIGHT_SCALE),
      idHash: idHashes(members),
      activeMax: new Int32Array(count),
      row: Int32Array.from(members, (member) => member.row),
      active: columns.active,
      latencyUs: columns.latencyUs,
      latencyAtMs: columns.latencyAtMs,
      upSinceMs: columns.upSinceMs,
    };
    this.primaries = { ...shared, usable: new Uint8Array(count) };
    this.backups = { ...shared, usable: new Uint8Array(count) };
    this.sticky = new Uint8Array(count);
    this.hasBackups = members.some((member) => member.config.backup);
    this.flags = new Uint8Array(count);
    this.trialOf = new Float64Array(count);
    this.trialMax = new Int32Array(count);
  }

  /** Fills the tables for nowMs. O(members), no allocation. */
  update(nowMs: number): void {
    const { members, flags } = this;
    this.nextChangeMs = Infinity;
    this.returnsAtMs = Infinity;
    let trusted = 0;
    for (let i = 0; i < members.length; i++) {
      const flag = this.judge(i, nowMs);
      flags[i] = flag;
      if ((flag & (USABLE | ON_TRIAL)) === USABLE) trusted++;
    }
    // Better everybody than nobody, if so configured; one on trial alone would be a needle's eye for all the traffic.
    const all = trusted === 0 && this.config.noneHealthy === "all";
    const need = all ? IN_SERVICE : USABLE;
    const stickyNeed = all ? STICKY_IN_SERVICE : STICKY;
    this.usableCount = 0;
    for (let i = 0; i < members.length; i++) {
      const flag = flags[i]!;
      const config = members[i]!.config;
      const usable = (flag & need) === 0 ? 0 : 1;
      this.primaries.usable[i] = config.backup ? 0 : usable;
      this.backups.usable[i] = config.backup ? usable : 0;
      this.sticky[i] = (flag & stickyNeed) === 0 ? 0 : 1;
      this.primaries.activeMax[i] = all || (flag & ON_TRIAL) === 0 ? config.maxConnections : this.trialLimit(i);
      this.usableCount += usable;
    }
  }

  /** The flags of a member; also its weight, and when to look again. */
  private judge(i: number, nowMs: number): number {
    const { columns, config, passive } = this;
    const row = this.primaries.row[i]!;
    const health = columns.health[row]!;
    const admin = columns.admin[row]!;
    const heldUntil = passive === null ? 0 : columns.heldUntilMs[row]!;
    const ejectedUntil = this.ejects ? columns.ejectedUntilMs[row]! : 0;
    const outUntil = Math.max(heldUntil, ejectedUntil);
    const isHealthy = health === Health.Up || (health === Health.Unknown && config.health?.initial !== "wait");
    const hasTarget = this.members[i]!.target !== null;
    this.weigh(i, row, outUntil, nowMs);
    let flag = 0;
    if (hasTarget && admin === Admin.Ready && columns.weight[row]! > 0) flag |= IN_SERVICE;
    if (hasTarget && admin !== Admin.Maint) flag |= STICKY_IN_SERVICE;
    if (isHealthy && nowMs >= outUntil) {
      if ((flag & IN_SERVICE) !== 0) flag |= USABLE;
      if ((flag & STICKY_IN_SERVICE) !== 0) flag |= STICKY;
    }
    if (nowMs < heldUntil) this.lookAgain(heldUntil);
    if (nowMs < outUntil) {
      this.lookAgain(outUntil);
      if (isHealthy && (flag & IN_SERVICE) !== 0) this.returnsAtMs = Math.min(this.returnsAtMs, outUntil);
    }
    if (passive !== null && isOnTrial(heldUntil, nowMs, passive)) {
      flag |= ON_TRIAL;
      this.lookAgain(heldUntil + passive.failTimeoutMs);
      if (this.trialOf[i] !== heldUntil) {
        this.trialOf[i] = heldUntil;
        this.trialMax[i] = Math.max(0, columns.active[row]!) + 1;
      }
    }
    return flag;
  }

  private weigh(i: number, row: number, outUntil: number, nowMs: number): void {
    const { slowStartMs } = this.config;
    const upSince = Math.max(this.columns.upSinceMs[row]!, outUntil);
    const ramp = rampAt(upSince, nowMs, slowStartMs);
    if (ramp < WEIGHT_SCALE) this.lookAgain(nowMs + rampStepMs(slowStartMs));
    this.primaries.ramp[i] = ramp;
    this.primaries.weight[i] = this.columns.weight[row]! * ramp; // the unit of both is 1/WEIGHT_SCALE
  }

  private lookAgain(atMs: number): void {
    if (atMs < this.nextChangeMs) this.nextChangeMs = atMs;
  }

  private trialLimit(i: number): number {
    const max = this.members[i]!.config.maxConnections;
    return max === 0 ? this.trialMax[i]! : Math.min(max, this.trialMax[i]!);
  }
}

/** The passive checks that apply: none to a pool of one, which has nobody else to turn to (as in nginx). */
export function passiveOf(config: PoolConfig, count: number): PassiveConfig | null {
  return count > 1 && config.passive !== null && config.passive.maxFails > 0 ? config.passive : null;
}

/** Hashes of the ids; the second of two ids with the same hash is hashed on, else it would never win a draw. */
function idHashes(members: readonly Member[]): Uint32Array {
  const taken = new Set<number>();
  return Uint32Array.from(members, (member) => {
    let hash = hashText(member.config.id);
    while (taken.has(hash)) hash = mix32(hash + 1);
    taken.add(hash);
    return hash;
  });
}
