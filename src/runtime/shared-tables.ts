// The tables that all workers share, from a configuration to their places in memory (Columns.arena): those of limits,
// and those of sticky sessions, which are also filled, copied and saved (sessions.ts). With them go the keys of sticky
// cookies, for they change with the same plans.

import { tableBytesMax } from "../base/limits.ts";
import type { Config } from "../model/config.ts";
import { limitTables } from "../limit/limit-book.ts";
import { sessionTableWish } from "../pool/stickiness/build.ts";
import { TableArena, type TableProposal } from "../stats/table-arena.ts";
import { Sessions, type SessionsOptions } from "./sessions.ts";

/** What a configuration that is about to be applied gets. Changes nothing until commit(). */
export interface TablesProposal {
  readonly config: Config;
  readonly tables: TableProposal;
  /** For Plan.cookieKeys. */
  readonly cookieKeys: readonly string[];
}

export class SharedTables {
  private readonly arena: TableArena;
  private readonly sessions: Sessions;

  constructor(options: SessionsOptions) {
    this.arena = new TableArena(options.columns.arena);
    this.sessions = new Sessions(options);
  }

  /** Places for all tables. Throws an Error for the operator when there is not enough memory for them. */
  propose(config: Config, workers: number): TablesProposal {
    const wishes = [...limitTables(config, workers), ...config.pools.map(sessionTableWish)];
    const tables = this.arena.propose(wishes.filter((wish) => wish !== null));
    if (tables === null) {
      const megabytes = Math.floor(tableBytesMax / 1024 / 1024);
      throw new Error(`the tables of limits and sticky sessions need more than ${megabytes} MB; give them fewer keys`);
    }
    return { config, tables, cookieKeys: this.sessions.prepare(config) };
  }

  /**
   * Makes a proposal the present state, before any worker follows its plan. generation is the one that was in force
   * until now. The returned function is to be called when every worker follows the plan.
   */
  commit(proposal: TablesProposal, generation: number): () => void {
    this.arena.commit(proposal.tables, generation);
    return this.sessions.enforce(proposal.config, proposal.tables.offsets);
  }

  /** No worker holds a generation older than this one any more. */
  retire(oldestGeneration: number): void {
    this.arena.retire(oldestGeneration);
  }

  /** Takes off what a worker that is gone had counted. */
  clearWorker(worker: number): void {
    this.arena.clearWorker(worker);
  }

  stop(): void {
    this.sessions.stop();
  }
}
