// A log whose level can be changed by a reload.

import type { Log, LogLevel } from "../base/ports.ts";
import type { Config } from "../model/config.ts";

const levels: readonly Config["logLevel"][] = ["debug", "info", "warn", "error"];

/** The number of a level of the configuration. */
export function logLevelOf(word: Config["logLevel"]): LogLevel {
  return Math.max(0, levels.indexOf(word)) as LogLevel;
}

export class LevelLog implements Log {
  /** Events below this level are dropped. */
  level: LogLevel;
  private readonly target: Log;

  constructor(target: Log, level: LogLevel) {
    this.target = target;
    this.level = level;
  }

  write(level: LogLevel, event: string, fields?: Readonly<Record<string, string | number | boolean | null>>): void {
    if (level >= this.level) this.target.write(level, event, fields);
  }
}
