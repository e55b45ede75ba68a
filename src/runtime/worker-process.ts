// The main function of a worker process: joins the shell to the real process, its supervisor and its data plane.

import { tcpKeepAliveMs } from "../base/limits.ts";
import { LogLevel, type LineSink } from "../base/ports.ts";
import { columnsSizeMax, openColumns, WC } from "../stats/columns.ts";
import { importBundle } from "../sys/bundle.ts";
import { createEnv } from "../sys/env.ts";
import { tryReceiveFd } from "../sys/fd-passing.ts";
import { closeFd } from "../sys/listen-socket.ts";
import { openLogSink, type LogSink } from "../sys/log-sink.ts";
import { createLog } from "../sys/log.ts";
import { dropPrivileges, lookUpIdentity } from "../sys/privileges.ts";
import {
  CHANNEL_FD,
  env as variable,
  exit,
  MEMORY_FD,
  onParentGone,
  onParentMessage,
  onSignal,
  onUncaught,
  pid,
  raiseFileLimit,
  rssBytes,
  sendToParent,
} from "../sys/process.ts";
import { passwordChecker } from "../sys/passwords.ts";
import { randomBytes, sealerOf } from "../sys/sealer.ts";
import { PasswordDesk } from "../http/password-desk.ts";
import { openSharedMemory } from "../sys/shm.ts";
import { LevelLog } from "./level-log.ts";
import { BOOT_VARIABLE, type ToWorker, type WorkerBoot } from "./messages.ts";
import type { PlaneMaker } from "./plane.ts";
import { WorkerShell, type WorkerHost } from "./worker.ts";
import { CompressorSupply } from "../sys/compressors.ts";

/** How long the exit waits for the access log to be written. */
const flushMs = 1000;
const stdoutFd = 1;
/** Share of the descriptors that connections may take; the rest is for files, pauses and new connects. */
const connectionShare = 0.9;

/** The access log: counts its lines, and can be pointed elsewhere while it is in use. */
class SwitchedLog implements LineSink {
  private sink: LogSink;
  /** The descriptor behind sink if it is ours to close, else -1. */
  private ownFd = -1;
  /** Lines lost before: by earlier processes in this worker's place, and by sinks that are closed. */
  private droppedBefore: number;
  private readonly closing = new Set<LogSink>();
  private readonly counters: Float64Array;
  private readonly log: LevelLog;

  constructor(counters: Float64Array, log: LevelLog) {
    this.counters = counters;
    this.log = log;
    this.droppedBefore = counters[WC.logDropped]!;
    this.sink = this.open(stdoutFd);
  }

  append(bytes: Uint8Array, start: number, end: number): void {
    if (this.sink.append(bytes, start, end)) this.counters[WC.logLines] = this.counters[WC.logLines]! + 1;
  }

  /** fd becomes this log's own; null = standard output. */
  switchTo(fd: number | null): void {
    if (fd === null && this.ownFd < 0) return;
    const { sink, ownFd } = this;
    this.sink = this.open(fd ?? stdoutFd);
    this.ownFd = fd ?? -1;
    this.closing.add(sink);
    void this.retire(sink, ownFd);
  }

  private async retire(sink: LogSink, ownFd: number): Promise<void> {
    await sink.close(flushMs);
    this.closing.delete(sink);
    this.droppedBefore += sink.dropped;
    if (ownFd >= 0) closeFd(ownFd);
  }

  /** Brings the counter of dropped lines up to date. */
  refresh(): void {
    let dropped = this.droppedBefore + this.sink.dropped;
    for (const sink of this.closing) dropped += sink.dropped;
    this.counters[WC.logDropped] = dropped;
  }

  close(): Promise<void> {
    return this.sink.close(flushMs).then(() => this.refresh());
  }

  private open(fd: number): LogSink {
    return openLogSink({
      target: fd,
      onTrouble: (code) => {
        if (code === null) this.log.write(LogLevel.Info, "access log is written again");
        else this.log.write(LogLevel.Error, "access log cannot be written, lines are dropped", { code });
      },
    });
  }
}

/** Takes descriptors off the channel as they come, so that any number of them fits through it. */
class Inbox {
  private readonly fds: number[] = [];
  private open = true;

  poll(): void {
    try {
      while (this.open) {
        const received = tryReceiveFd(CHANNEL_FD);
        if (received === null) return;
        this.fds.push(received.fd);
      }
    } catch {
      this.open = false; // the supervisor has died: IPC says so too, and that is acted upon
    }
  }

  take(count: number): number[] {
    this.poll();
    return this.fds.splice(0, count);
  }
}

function becomeUser(user: string, log: LevelLog): void {
  try {
    dropPrivileges(user);
  } catch (error) {
    log.write(LogLevel.Error, "cannot give up privileges", { user, reason: String(error) });
    exit(1); // traffic must not be carried with more rights than the operator wants
  }
}

/** Runs this process as a worker. Returns at once; the process lives until the supervisor ends it or is gone. */
export function runWorker<G>(maker: PlaneMaker<G>): void {
  const boot = JSON.parse(variable(BOOT_VARIABLE)!) as WorkerBoot;
  const memory = openSharedMemory(MEMORY_FD, boot.memoryBytes);
  const columns = openColumns(memory.buffer, columnsSizeMax);
  closeFd(MEMORY_FD);
  const counters = columns.worker(boot.worker);
  const everything = createLog({ level: LogLevel.Debug, format: "auto", source: `worker ${boot.worker}` });
  const log = new LevelLog(everything, boot.logLevel as LogLevel);
  const fileLimit = raiseFileLimit();
  // The supervisor alone decides what a signal means; a terminal or an init system sends it to every process of the
  // group.
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2"] as const) onSignal(name, () => {});

  let shell: WorkerShell<G> | null = null;
  const inbox = new Inbox();
  const env = createEnv({
    log,
    keepAliveMs: tcpKeepAliveMs,
    onTick(nowMs, lagMs) {
      inbox.poll();
      accessLog.refresh();
      shell?.tick(nowMs, lagMs);
    },
    onException: () => {
      counters[WC.exceptions] = counters[WC.exceptions]! + 1;
    },
  });
  onUncaught(env.failed);
  const accessLog = new SwitchedLog(counters, log);
  const host: WorkerHost = {
    send: (message) => void sendToParent(message),
    takeDescriptors: (count) => inbox.take(count),
    closeDescriptor: closeFd,
    switchLog: (fd) => accessLog.switchTo(fd),
    setLogLevel: (level) => {
      log.level = level;
    },
    checkUser: (user) => void lookUpIdentity(user),
    becomeUser: (user) => becomeUser(user, log),
    evaluateModule: importBundle,
    rssBytes,
    pid,
    exit(code) {
      // The last words too: a line that a thread is about to write would be lost with the process.
      void Promise.all([accessLog.close(), everything.close(flushMs)]).then(() => exit(code));
    },
  };
  const passwords = new PasswordDesk(passwordChecker, randomBytes(16));
  const connectionsMax = fileLimit === null ? 0 : Math.floor(fileLimit.soft * connectionShare);
  shell = new WorkerShell(
    {
      env,
      columns,
      worker: boot.worker,
      accessLog,
      connectionsMax,
      newSealer: sealerOf,
      compressors: new CompressorSupply(),
      passwords,
    },
    host,
    maker,
  );
  onParentMessage((message) => shell.receive(message as ToWorker));
  onParentGone(() => shell.orphaned());
}
