// Runs a supervisor until it is told to stop: signals, the ready file, the exit code. `run` and `demo` differ in where
// their configuration comes from.

import { startAdminServer } from "../admin/server.ts";
import { LogLevel } from "../base/ports.ts";
import { formatBind } from "../config/address.ts";
import type { LoadedFile } from "../config/load.ts";
import { createSystemHost } from "../runtime/system-host.ts";
import { LevelLog } from "../runtime/level-log.ts";
import { Supervisor } from "../runtime/supervisor.ts";
import { columnsBytes, columnsSizeMax, openColumns, setSeed } from "../stats/columns.ts";
import { tcpKeepAliveMs } from "../base/limits.ts";
import { createEnv } from "../sys/env.ts";
import { writeTextAtomic } from "../sys/files.ts";
import { createLog } from "../sys/log.ts";
import { cpuCount, onSignal, onUncaught, pid, raiseFileLimit } from "../sys/process.ts";
import { randomBytes } from "../sys/sealer.ts";
import { createSharedMemory } from "../sys/shm.ts";
import { ExitCode, type Io } from "./command.ts";
import { showDiagnostics } from "./show-diagnostics.ts";

export interface ServeOptions {
  readonly load: () => Promise<LoadedFile>;
  /** Called once everything runs. */
  readonly onReady: (supervisor: Supervisor) => void;
}

/** How long the end waits for the log to be written. */
const flushMs = 1000;

/** Runs until a signal ends it; resolves with the exit code. */
export async function serve(options: ServeOptions, io: Io): Promise<number> {
  const events = createLog({ level: LogLevel.Debug, format: "auto", source: "supervisor" });
  const code = await superviseUntilEnd(options, io, new LevelLog(events, LogLevel.Info));
  await events.close(flushMs);
  return code;
}

async function superviseUntilEnd(options: ServeOptions, io: Io, log: LevelLog): Promise<number> {
  const env = createEnv({ log, keepAliveMs: tcpKeepAliveMs });
  onUncaught(env.failed);
  raiseFileLimit();
  const memory = createSharedMemory(columnsBytes(columnsSizeMax));
  setSeed(memory.buffer, new Uint32Array(randomBytes(8).buffer));
  let lastText = "";
  const supervisor = new Supervisor({
    env,
    host: createSystemHost({ memory, clock: env.clock, workerArgs: [], logLevel: () => log.level }),
    columns: openColumns(memory.buffer, columnsSizeMax),
    log,
    cpuCount: cpuCount(),
    async load() {
      const loaded = await options.load();
      lastText = loaded.text;
      return loaded;
    },
    startAdmin: (config, self) => startAdminServer(config, self, env, env.failed),
  });
  let stopped: (code: number) => void = () => {};
  const end = new Promise<number>((resolve) => {
    stopped = resolve;
  });
  listenToSignals(supervisor, () => stopped(ExitCode.Ok));
  const started = await supervisor.start();
  if (started.ok) {
    writeReadyFile(supervisor, io);
    options.onReady(supervisor);
    const code = await end;
    env.ticker.stop();
    return code;
  }
  env.ticker.stop();
  if (supervisor.stopRequested) return end;
  if (started.fault === "config") {
    io.err(showDiagnostics(started.diagnostics, lastText, io.color));
    return ExitCode.Failed;
  }
  io.err(`sluice: ${started.reason}\n`);
  return ExitCode.Start;
}

function listenToSignals(supervisor: Supervisor, onStopped: () => void): void {
  let asked = 0;
  const stop = (): void => {
    asked++;
    if (asked === 1) void supervisor.drain().then(onStopped);
    else if (asked === 2) void supervisor.kill().then(onStopped);
  };
  onSignal("SIGTERM", stop);
  onSignal("SIGINT", stop);
  onSignal("SIGHUP", () => void supervisor.reload());
  onSignal("SIGUSR1", () => supervisor.reopenLog());
}

/** For scripts and tests: the file named by SLUICE_READY_FILE says where everything listens, once it does. */
function writeReadyFile(supervisor: Supervisor, io: Io): void {
  const path = io.env["SLUICE_READY_FILE"];
  if (path === undefined || path === "") return;
  const listeners: Record<string, string[]> = {};
  for (const { listener, bound } of supervisor.sockets.pairings) {
    (listeners[listener] ??= []).push(formatBind(bound.address));
  }
  writeTextAtomic(
    path,
    `${JSON.stringify({ event: "ready", pid: pid(), admin: supervisor.adminAddress, listeners })}\n`,
  );
}
