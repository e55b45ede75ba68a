// What the supervisor sends to its workers: a numbered, validated configuration together with the rows of the shared
// columns that its listeners and endpoints occupy, and the addresses that host names resolved to. Plain data: it
// travels as JSON.

import type { Config } from "./config.ts";

/** The code of hooks: the configuration's module with everything that it imports, as one text. */
export interface HookModule {
  /** "" for a worker that has this version in force. */
  readonly code: string;
  /** Different for different code. */
  readonly version: string;
}

export interface Plan {
  /** Generation number, from 1, growing by 1 with each accepted change. */
  readonly generation: number;
  readonly config: Config;
  /** How many workers serve: `workers` of the configuration, with "auto" resolved. */
  readonly workers: number;
  /** Listener name -> row in the shared columns; stable for as long as the listener exists. */
  readonly listenerRows: Readonly<Record<string, number>>;
  /** Pool name -> endpoint id -> row; stable for as long as that endpoint exists in that pool. */
  readonly endpointRows: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** Pool name -> row; stable for as long as the pool exists. */
  readonly poolRows: Readonly<Record<string, number>>;
  /**
   * Name of a shared table -> its first word in Columns.arena; stable for as long as a table of that name and form is.
   */
  readonly tables: Readonly<Record<string, number>>;
  /** Keys of sticky cookies in hexadecimal, the newest first; none if nothing needs them. Secret. */
  readonly cookieKeys: readonly string[];
  /** null = no route has hooks. */
  readonly hooks: HookModule | null;
  /** Row -> IP literal of an endpoint given by host name; null while it does not resolve. IP endpoints are absent. */
  readonly resolved: Readonly<Record<number, string | null>>;
}
