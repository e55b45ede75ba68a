// The control plane: turns configurations into plans and brings the workers to them, whole or not at all; runs health
// checks and name resolution once for all workers; keeps the operator's run-time settings. It moves no traffic, and
// traffic goes on without it for as long as it is silent.

import { endpointRowsMax, firstLookupMs, listenersMax, poolsMax } from "../base/limits.ts";
import { LogLevel, type Env } from "../base/ports.ts";
import { reasonOf } from "../base/reason.ts";
import { Monitor } from "../health/monitor.ts";
import type { AdminConfig, Config, EndpointConfig, PoolConfig } from "../model/config.ts";
import { diffConfigs, formatChange } from "../config/diff.ts";
import { hasErrors, type Diagnostic } from "../model/diagnostic.ts";
import type { HookModule, Plan } from "../model/plan.ts";
import { bumpEpoch, type Columns } from "../stats/columns.ts";
import { adminOf } from "../stats/words.ts";
import { settleDeadWorker } from "./counters.ts";
import { Ejections } from "./ejections.ts";
import { EndpointChanges } from "./endpoint-changes.ts";
import { endpointKey, endpointKeys, nameWishes, nestRows, poolOfKey, resolvedOf, subjectsOf } from "./endpoints.ts";
import { clearFreshRows } from "./fresh-rows.ts";
import type { Host } from "./host.ts";
import { Journal } from "./journal.ts";
import { logLevelOf, type LevelLog } from "./level-log.ts";
import { changesOf, Membership, type Members } from "./membership.ts";
import { Overrides, type EffectiveEndpoint, type EndpointPatch } from "./overrides.ts";
import { Pacer } from "./pacer.ts";
import { Resolver } from "./resolver.ts";
import { RowTable, type RowProposal } from "./rows.ts";
import { SharedTables, type TablesProposal } from "./shared-tables.ts";
import { SocketBook, type SocketProposal } from "./socket-book.ts";
import type { StateDirectory } from "../sys/state-directory.ts";
import { Workforce, type LogFile } from "./workforce.ts";

/** What reading and validating the configuration gave. */
export interface Loaded {
  /** null when there are errors. */
  readonly config: Config | null;
  readonly diagnostics: readonly Diagnostic[];
  /** Code of the configuration's functions, if it has any. */
  readonly hooks?: HookModule | null;
}

/** The admin API, listening. */
export interface AdminServer {
  /** "127.0.0.1:9900" or "unix:/path". */
  readonly address: string;
  setToken(token: string | null): void;
  /** Stops accepting; answers under way are finished. */
  stop(): void;
}

export interface SupervisorOptions {
  readonly env: Env;
  readonly host: Host;
  readonly columns: Columns;
  readonly log: LevelLog;
  readonly cpuCount: number;
  readonly load: () => Promise<Loaded>;
  /** Starts the admin API for this supervisor. Throws when the address cannot be had. */
  readonly startAdmin: (config: AdminConfig, supervisor: Supervisor) => AdminServer;
}

export interface ReloadResult {
  readonly ok: boolean;
  /** The generation in force afterwards. */
  readonly generation: number;
  readonly diagnostics: readonly Diagnostic[];
  /** "" when ok, else why the old configuration goes on. */
  readonly reason: string;
  /** What is different now, one sentence each. */
  readonly changes: readonly string[];
  readonly atMs: number;
}

export type StartResult =
  | { readonly ok: true }
  | {
      readonly ok: false;
      readonly fault: "config" | "runtime";
      readonly reason: string;
      readonly diagnostics: readonly Diagnostic[];
    };

export type SupervisorState = "starting" | "running" | "draining" | "stopped";

/** Everything that was made for a configuration before it is in force. */
interface Candidate {
  /** As it is written; the plan has what discovery and run-time changes add. */
  readonly written: Config;
  readonly members: Members;
  readonly plan: Plan;
  readonly workers: number;
  readonly endpointRows: RowProposal;
  readonly listenerRows: RowProposal;
  readonly poolRows: RowProposal;
  readonly tables: TablesProposal;
  readonly sockets: SocketProposal;
  readonly log: LogFile | null;
  readonly admin: AdminServer | null;
}

export class Supervisor {
  readonly journal: Journal;
  readonly columns: Columns;
  readonly monitor: Monitor;
  readonly workforce: Workforce;
  readonly sockets: SocketBook;
  readonly membership: Membership;
  /** Adds and removes endpoints at run time. */
  readonly endpoints: EndpointChanges;
  state: SupervisorState = "starting";
  /** Reloads since the start, by outcome. */
  readonly reloads = { ok: 0, refused: 0 };
  lastReload: ReloadResult | null = null;
  /** The most workers there have been: rows of all of them hold counts. */
  workersEver = 0;
  readonly startedMs: number;
  private readonly options: SupervisorOptions;
  private readonly endpointRows = new RowTable(endpointRowsMax);
  private readonly listenerRows = new RowTable(listenersMax);
  private readonly poolRows = new RowTable(poolsMax);
  private readonly tables: SharedTables;
  private readonly ejections: Ejections;
  private readonly overrides = new Overrides();
  private readonly resolver: Resolver;
  /** Puts in force what discovery and run-time changes have made of the pools. */
  private readonly pacer: Pacer;
  private current: Plan | null = null;
  private log: LogFile | null = null;
  private admin: AdminServer | null = null;
  /** The end of the last reload asked for: they run one after another. */
  private lastTurn: Promise<unknown> = Promise.resolve();
  private waitingReload: Promise<ReloadResult> | null = null;
  private stopAsked = false;

  constructor(options: SupervisorOptions) {
    const { env, host, columns } = options;
    const { clock, timers, log } = env;
    this.options = options;
    this.columns = columns;
    this.startedMs = clock.nowMs();
    this.journal = new Journal(clock, log);
    this.sockets = new SocketBook(host);
    const openState = (configured: string | null): StateDirectory => host.openState(configured);
    this.tables = new SharedTables({ clock, timers, journal: this.journal, columns, openState });
    this.monitor = new Monitor(env, columns, ({ pool, id, from, to, reason }) => {
      const level = to === "down" ? LogLevel.Warn : LogLevel.Info;
      this.journal.remember(level, "health changed", { pool, endpoint: id, from, to, reason });
    });
    this.ejections = new Ejections(clock, timers, columns, this.journal);
    this.resolver = new Resolver({
      clock,
      timers,
      log,
      resolve: (name, servers) => host.resolve(name, servers),
      onChange: () => this.namesChanged(),
    });
    this.pacer = new Pacer(clock, timers, () => this.changeMembers());
    this.membership = new Membership({
      clock,
      timers,
      host,
      record: (level, event, fields) => this.journal.record(level, event, fields),
      onChange: () => void this.pacer.ask(),
    });
    this.endpoints = new EndpointChanges({
      membership: this.membership,
      journal: this.journal,
      plan: () => this.current,
      apply: () => this.pacer.ask(),
    });
    this.workforce = new Workforce({
      clock,
      timers,
      host,
      journal: this.journal,
      columns,
      onExit: (worker) => {
        const { endpointRows, listenerRows, poolRows } = this;
        settleDeadWorker(columns, worker, endpointRows.live(), listenerRows.live(), poolRows.live());
        this.tables.clearWorker(worker);
      },
      onRetired: () => this.retire(),
    });
  }

  /** The plan in force; null before the first. */
  get plan(): Plan | null {
    return this.current;
  }

  /** True from the moment the supervisor was told to stop. */
  get stopRequested(): boolean {
    return this.stopAsked;
  }

  /** Where the admin API listens; null without one. */
  get adminAddress(): string | null {
    return this.admin?.address ?? null;
  }

  /** First start: resolves once every worker accepts, or with why it failed; then nothing is left running. */
  start(): Promise<StartResult> {
    const turn = this.startNow();
    this.lastTurn = turn; // a reload asked for meanwhile comes after
    return turn;
  }

  private async startNow(): Promise<StartResult> {
    let loaded: Loaded;
    try {
      loaded = await this.options.load();
    } catch (error) {
      this.state = "stopped";
      return { ok: false, fault: "runtime", reason: reasonOf(error), diagnostics: [] };
    }
    const { config, diagnostics } = loaded;
    if (config === null || hasErrors(diagnostics)) {
      this.state = "stopped";
      return { ok: false, fault: "config", reason: "the configuration has errors", diagnostics };
    }
    this.report(diagnostics);
    let candidate: Candidate;
    try {
      candidate = await this.prepare(config, loaded.hooks ?? null);
    } catch (error) {
      this.state = "stopped";
      return { ok: false, fault: "runtime", reason: reasonOf(error), diagnostics };
    }
    this.enforce(candidate)();
    const trouble = await this.workforce.launch(this.deploymentOf(candidate), candidate.workers);
    if (trouble !== "") {
      await this.tearDown();
      return { ok: false, fault: "runtime", reason: trouble, diagnostics };
    }
    this.state = "running";
    this.namesChanged();
    this.journal.record(LogLevel.Info, "running", {
      generation: candidate.plan.generation,
      workers: candidate.workers,
    });
    return { ok: true };
  }

  /** Reads the configuration again and puts it in force, or changes nothing. Never rejects. */
  reload(): Promise<ReloadResult> {
    // A reload that has not begun yet will see today's file: everybody who asks meanwhile shares it.
    if (this.waitingReload !== null) return this.waitingReload;
    const turn = this.lastTurn.then(() => {
      this.waitingReload = null;
      return this.reloadNow();
    });
    this.waitingReload = turn;
    this.lastTurn = turn;
    return turn;
  }

  /**
   * Changes an endpoint's weight or admin word at run time; null when there is no such endpoint. Values must be valid.
   */
  patchEndpoint(pool: string, id: string, patch: EndpointPatch, by: string): EffectiveEndpoint | null {
    const found = this.findEndpoint(pool, id);
    if (found === null) return null;
    const before = this.overrides.effective(pool, found.endpoint);
    this.overrides.set(pool, found.endpoint, patch);
    const after = this.overrides.effective(pool, found.endpoint);
    this.writeEndpoint(pool, found.endpoint);
    bumpEpoch(this.columns);
    if (before.admin === "maint" && after.admin !== "maint") this.monitor.recheck(pool, id);
    const { weight, admin } = after;
    const fields = { pool, endpoint: id, weight, admin, weightBefore: before.weight, adminBefore: before.admin, by };
    this.journal.record(LogLevel.Info, "endpoint set", fields);
    return after;
  }

  /** The configuration of an endpoint in force, and its row. */
  findEndpoint(pool: string, id: string): { pool: PoolConfig; endpoint: EndpointConfig; row: number } | null {
    const poolConfig = this.current?.config.pools.find(({ name }) => name === pool);
    const endpoint = poolConfig?.endpoints.find((candidate) => candidate.id === id);
    if (poolConfig === undefined || endpoint === undefined) return null;
    return { pool: poolConfig, endpoint, row: this.endpointRows.rows.get(endpointKey(pool, id))! };
  }

  /** Opens the access log's file anew, after somebody has moved the old one away. */
  reopenLog(): void {
    if (this.log === null) return;
    const { path, fd } = this.log;
    try {
      this.log = { path, fd: this.options.host.openLog(path) };
    } catch (error) {
      this.journal.record(LogLevel.Error, "access log cannot be reopened", { path, reason: reasonOf(error) });
      return;
    }
    this.workforce.setLog(this.log);
    this.options.host.close(fd);
    this.journal.record(LogLevel.Info, "access log reopened", { path });
  }

  /** Refuses new clients, lets the workers finish what is under way, and resolves once all are gone. */
  async drain(): Promise<void> {
    this.stopAsked = true;
    if (this.state === "draining" || this.state === "stopped") return this.workforce.stopped();
    this.state = "draining";
    this.journal.record(LogLevel.Info, "draining", { timeoutMs: this.current?.config.timeouts.drainMs ?? 0 });
    // The supervisor's sockets would go on collecting clients that nobody serves.
    this.sockets.closeAll();
    this.workforce.drain();
    await this.workforce.stopped();
    this.finish();
  }

  /** Ends everything at once. */
  async kill(): Promise<void> {
    this.stopAsked = true;
    await this.tearDown();
  }

  private async tearDown(): Promise<void> {
    this.state = "draining";
    this.sockets.closeAll();
    this.workforce.kill();
    await this.workforce.stopped();
    this.finish();
  }

  private finish(): void {
    this.state = "stopped";
    this.monitor.stop();
    this.ejections.stop();
    this.resolver.stop();
    this.membership.stop();
    this.pacer.stop();
    this.tables.stop();
    this.admin?.stop();
    this.admin = null;
    if (this.log !== null) this.options.host.close(this.log.fd);
    this.log = null;
  }

  private async reloadNow(): Promise<ReloadResult> {
    let diagnostics: readonly Diagnostic[] = [];
    let reason: string;
    const before = this.membership.written;
    const hooksBefore = this.current?.hooks?.version;
    let dropped: readonly string[] = [];
    try {
      if (this.state !== "running") reason = `not possible while ${this.state}`;
      else {
        const loaded = await this.options.load();
        diagnostics = loaded.diagnostics;
        this.report(diagnostics);
        if (loaded.config === null || hasErrors(diagnostics)) reason = "the configuration has errors";
        else {
          reason = await this.change(loaded.config, loaded.hooks ?? null);
          if (reason === "") dropped = this.membership.edits.reconcile(loaded.config);
        }
      }
    } catch (error) {
      reason = reasonOf(error);
    }
    const generation = this.current?.generation ?? 0;
    const ok = reason === "";
    const after = this.membership.written;
    const differences = ok && before !== null && after !== null ? diffConfigs(before, after).map(formatChange) : [];
    const hooksNow = this.current?.hooks?.version;
    const code = ok && hooksNow !== undefined && hooksNow !== hooksBefore ? ["the code of hooks is another"] : [];
    const changes = [...differences, ...code, ...dropped];
    this.reloads[ok ? "ok" : "refused"]++;
    for (const change of changes) this.options.env.log.write(LogLevel.Info, "configuration changed", { change });
    if (ok) this.journal.record(LogLevel.Info, "configuration in force", { generation, changes: changes.length });
    else this.journal.record(LogLevel.Error, "configuration refused, the old one goes on", { generation, reason });
    this.lastReload = { ok, generation, diagnostics, reason, changes, atMs: this.options.env.clock.wallMs() };
    return this.lastReload;
  }

  /** Puts in force who belongs to the pools now. "" or why that is not possible; never rejects. */
  private changeMembers(): Promise<string> {
    const turn = this.lastTurn.then(async () => {
      const { written } = this.membership;
      if (this.state !== "running" || written === null || this.current === null) {
        return `not possible while ${this.state}`;
      }
      const members = this.membership.propose(written);
      const changes = changesOf(this.current.config, members.config);
      if (changes.length === 0) {
        this.membership.commit(written, members); // an endpoint may be the same and come from elsewhere
        return "";
      }
      const reason = await this.change(written, this.current.hooks).catch(reasonOf);
      const { generation } = this.current;
      if (reason !== "") this.journal.record(LogLevel.Error, "endpoints cannot be changed", { generation, reason });
      else
        for (const change of changes)
          this.journal.record(LogLevel.Info, "endpoints changed", { generation, ...change });
      return reason;
    });
    this.lastTurn = turn;
    return turn;
  }

  /** "" or why the configuration cannot be put in force. */
  private async change(config: Config, hooks: HookModule | null): Promise<string> {
    if (config.user !== this.current?.config.user) return "user cannot be changed by a reload; restart instead";
    const candidate = await this.prepare(config, hooks);
    let release: (() => void) | null = null;
    const trouble = await this.workforce.deploy(this.deploymentOf(candidate), candidate.workers, () => {
      if (this.state !== "running") return false; // told to stop meanwhile
      release = this.enforce(candidate);
      return true;
    });
    if (trouble !== "") {
      this.abandon(candidate);
      return trouble;
    }
    this.workforce.resize(candidate.workers);
    (release as (() => void) | null)?.();
    this.namesChanged();
    return "";
  }

  /**
   * Makes everything a configuration needs, without changing anything that is in force. Throws an Error for the
   * operator.
   */
  private async prepare(written: Config, hooks: HookModule | null): Promise<Candidate> {
    try {
      return await this.prepareFor(written, await this.findMembers(written), hooks);
    } catch (error) {
      this.forgetNames();
      throw error;
    }
  }

  /** Everybody under a configuration, after the first answers of sources and name servers. */
  private async findMembers(written: Config): Promise<Members> {
    this.resolver.ensure(nameWishes(written));
    await this.membership.open(written, firstLookupMs);
    const members = this.membership.propose(written);
    this.resolver.ensure(nameWishes(members.config)); // files may name hosts, too
    await this.resolver.settled(firstLookupMs);
    return members;
  }

  private prepareFor(written: Config, members: Members, hooks: HookModule | null): Candidate {
    const { config } = members;
    const workers = written.workers === 0 ? this.options.cpuCount : written.workers;
    this.retire();
    const endpointRows = this.endpointRows.propose(endpointKeys(config));
    const listenerRows = this.listenerRows.propose(config.listeners.map(({ name }) => name));
    const poolRows = this.poolRows.propose(config.pools.map(({ name }) => name));
    if (poolRows === null) throw new Error(`more than ${poolsMax} pools, those still draining included`);
    if (endpointRows === null) throw new Error(`more than ${endpointRowsMax} endpoints, those still draining included`);
    if (listenerRows === null) throw new Error(`more than ${listenersMax} listeners, those still draining included`);
    const tables = this.tables.propose(config, workers);
    const sockets = this.sockets.propose(config.listeners, workers);
    let log: LogFile | null = null;
    try {
      log = this.openLog(config);
      const admin = this.openAdmin(config.admin);
      const serving = new Set(this.current?.config.pools.filter((p) => p.endpoints.length > 0).map((p) => p.name));
      const nowMs = this.options.env.clock.nowMs();
      const fresh = { endpointRows, listenerRows, poolRows, workers: this.workersEver, serving, nowMs };
      clearFreshRows(this.columns, config, fresh);
      const plan: Plan = {
        generation: (this.current?.generation ?? 0) + 1,
        config,
        workers,
        listenerRows: Object.fromEntries(listenerRows.rows),
        endpointRows: nestRows(config, endpointRows.rows),
        poolRows: Object.fromEntries(poolRows.rows),
        tables: tables.tables.offsets,
        cookieKeys: tables.cookieKeys,
        hooks,
        resolved: resolvedOf(config, endpointRows.rows, (wish) => this.resolver.addressOf(wish)),
      };
      return { written, members, plan, workers, endpointRows, listenerRows, poolRows, tables, sockets, log, admin };
    } catch (error) {
      if (log !== null && log !== this.log) this.options.host.close(log.fd);
      this.sockets.rollback(sockets);
      throw error;
    }
  }

  /** Takes back what prepare() made. */
  private abandon(candidate: Candidate): void {
    this.sockets.rollback(candidate.sockets);
    if (candidate.log !== null && candidate.log !== this.log) this.options.host.close(candidate.log.fd);
    if (candidate.admin !== this.admin) candidate.admin?.stop();
    this.forgetNames();
  }

  private forgetNames(): void {
    this.resolver.reconcile(this.current === null ? [] : nameWishes(this.current.config));
    this.membership.forget();
  }

  /**
   * Makes a candidate the present. The returned function lets go of what the old one needed, once no worker uses it.
   */
  private enforce(candidate: Candidate): () => void {
    const { plan, written, members } = candidate;
    const before = { generation: this.current?.generation ?? 0, admin: this.admin, log: this.log };
    this.current = plan;
    this.membership.commit(written, members);
    this.endpointRows.commit(candidate.endpointRows, before.generation);
    this.listenerRows.commit(candidate.listenerRows, before.generation);
    this.poolRows.commit(candidate.poolRows, before.generation);
    const tablesSettled = this.tables.commit(candidate.tables, before.generation);
    const closeSockets = this.sockets.commit(candidate.sockets);
    this.workersEver = Math.max(this.workersEver, candidate.workers);
    this.options.log.level = logLevelOf(plan.config.logLevel);
    this.overrides.reconcile(plan.config);
    for (const pool of plan.config.pools)
      for (const endpoint of pool.endpoints) this.writeEndpoint(pool.name, endpoint);
    bumpEpoch(this.columns);
    this.resolver.reconcile(nameWishes(plan.config));
    this.monitor.reconcile(subjectsOf(plan));
    this.ejections.reconcile(plan, this.workersEver);
    this.admin = candidate.admin;
    this.admin?.setToken(plan.config.admin?.token ?? null);
    this.log = candidate.log;
    return () => {
      closeSockets();
      tablesSettled();
      if (before.admin !== this.admin) before.admin?.stop();
      if (before.log !== null && before.log !== this.log) this.options.host.close(before.log.fd);
      this.retire();
    };
  }

  private deploymentOf(candidate: Candidate): {
    plan: Plan;
    pairings: SocketProposal["pairings"];
    log: LogFile | null;
  } {
    return { plan: candidate.plan, pairings: candidate.sockets.pairings, log: candidate.log };
  }

  private openLog(config: Config): LogFile | null {
    const path = config.accessLog?.file ?? "-";
    if (path === "-") return null;
    return this.log?.path === path ? this.log : { path, fd: this.options.host.openLog(path) };
  }

  private openAdmin(config: AdminConfig | null): AdminServer | null {
    if (config === null) return null;
    const { ip, port, unixPath } = config.bind;
    const now = this.current?.config.admin?.bind;
    const same = now !== undefined && now.ip === ip && now.port === port && now.unixPath === unixPath;
    return same && this.admin !== null ? this.admin : this.options.startAdmin(config, this);
  }

  private writeEndpoint(pool: string, endpoint: EndpointConfig): void {
    const row = this.endpointRows.rows.get(endpointKey(pool, endpoint.id))!;
    const { weight, admin } = this.overrides.effective(pool, endpoint);
    Atomics.store(this.columns.weight, row, weight);
    Atomics.store(this.columns.admin, row, adminOf(admin));
  }

  private namesChanged(): void {
    const plan = this.current;
    if (plan === null) return;
    const resolved = resolvedOf(plan.config, this.endpointRows.rows, (wish) => this.resolver.addressOf(wish));
    if (JSON.stringify(resolved) === JSON.stringify(plan.resolved)) return;
    this.current = { ...plan, resolved };
    this.workforce.setResolved(resolved);
    this.monitor.reconcile(subjectsOf(this.current));
  }

  private retire(): void {
    const oldest = this.workforce.oldestGeneration;
    const { oldestInForce } = this.workforce;
    const pools = new Set(this.current?.config.pools.map(({ name }) => name));
    // Workers begin nothing at an endpoint that has left its pool; once nothing is under way there either, its row is
    // nobody's, even if a tunnel elsewhere keeps its generation for days.
    this.endpointRows.retire(oldest, (key, row, lastGeneration) => {
      const isOver = lastGeneration < oldestInForce && Atomics.load(this.columns.active, row) === 0;
      return isOver && pools.has(poolOfKey(key));
    });
    this.listenerRows.retire(oldest);
    this.poolRows.retire(oldest);
    this.tables.retire(oldest);
  }

  private report(diagnostics: readonly Diagnostic[]): void {
    for (const { severity, at, path, message, hint } of diagnostics) {
      const level = severity === "error" ? LogLevel.Error : LogLevel.Warn;
      const place = at.line > 0 ? `${at.file}:${at.line}:${at.column}` : at.file;
      this.options.env.log.write(level, `configuration ${severity}`, { at: place, path, problem: message, hint });
    }
  }
}
