// The supervisor's real machine: processes, sockets, files and names of sys/.

import { listenBacklog, lookupMs, systemFileBytesMax } from "../base/limits.ts";
import type { Clock } from "../base/ports.ts";
import * as dns from "../sys/dns.ts";
import { closeChannel, createChannel, trySendFd } from "../sys/fd-passing.ts";
import { fileStamp, readText, readTextOr, removeFile } from "../sys/files.ts";
import { closeFd, createListener, dupFd, ListenError } from "../sys/listen-socket.ts";
import { openAppending } from "../sys/log-sink.ts";
import { environment, spawnWorker, type WorkerProcess as Child } from "../sys/process.ts";
import type { SharedMemory } from "../sys/shm.ts";
import { openStateDirectory } from "../sys/state-directory.ts";
import { after } from "../sys/timers.ts";
import { DnsClient } from "./dns-client.ts";
import type { Host, WorkerEvents, WorkerProcess } from "./host.ts";
import { BOOT_VARIABLE, type FromWorker, type ToWorker, type WorkerBoot } from "./messages.ts";
import { localAddresses, resolveName, type NameSources } from "./names.ts";

export interface SystemHostOptions {
  readonly memory: SharedMemory;
  readonly clock: Clock;
  /** Arguments that make the program a worker; they show in process lists. */
  readonly workerArgs: readonly string[];
  readonly logLevel: () => number;
  /** Script to run instead of this program's; for tests. */
  readonly script?: string;
}

const retryMs = 10;

interface Parcel {
  readonly message: ToWorker;
  /** Copies of the caller's descriptors. */
  readonly fds: number[];
}

/**
 * One worker process with its channel. Descriptors beyond what the channel holds wait, and so does everything after
 * them.
 */
class SystemWorker implements WorkerProcess {
  readonly pid: number;
  private readonly child: Child;
  private readonly channelFd: number;
  private readonly waiting: Parcel[] = [];
  private open = true;

  constructor(child: Child, channelFd: number) {
    this.child = child;
    this.pid = child.pid;
    this.channelFd = channelFd;
  }

  send(message: ToWorker, fds: readonly number[]): boolean {
    if (!this.open) return false;
    this.waiting.push({ message, fds: fds.map(dupFd) });
    if (this.waiting.length === 1) this.pump();
    return this.open;
  }

  kill(): void {
    this.child.kill("SIGKILL");
  }

  /** The process has ended. */
  close(): void {
    if (!this.open) return;
    this.open = false;
    for (const { fds } of this.waiting.splice(0)) for (const fd of fds) closeFd(fd);
    closeFd(this.channelFd);
  }

  private pump(): void {
    if (!this.open) return;
    for (let parcel = this.waiting[0]; parcel !== undefined; parcel = this.waiting[0]) {
      if (!this.sendFds(parcel.fds)) return;
      this.waiting.shift();
      this.child.send(parcel.message);
    }
  }

  /** False when the channel is full: pump() is called again in a moment, after the worker has emptied it. */
  private sendFds(fds: number[]): boolean {
    while (fds.length > 0) {
      try {
        if (!trySendFd(this.channelFd, fds[0]!, 0)) {
          after(retryMs, () => this.pump());
          return false;
        }
      } catch {
        return false; // the worker is dying; its exit is about to be reported
      }
      closeFd(fds.shift()!);
    }
    return true;
  }
}

export function createSystemHost(options: SystemHostOptions): Host {
  const names: NameSources = {
    client: new DnsClient(dns, options.clock, () => readTextOr("/etc/resolv.conf", systemFileBytesMax, "")),
    hostsFile: () => readTextOr("/etc/hosts", systemFileBytesMax, ""),
    lookupSystem: dns.lookupSystem,
  };
  return {
    spawn: (worker, events) => spawn(options, worker, events),
    listen(bind, reusePort) {
      try {
        return createListener(bind, { backlog: listenBacklog, reusePort });
      } catch (error) {
        if (error instanceof ListenError) throw new Error(`${error.message}. ${error.hint}`, { cause: error });
        throw error;
      }
    },
    close: closeFd,
    openLog(path) {
      try {
        return openAppending(path);
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        throw new Error(`cannot open the access log: ${reason}`, { cause: error });
      }
    },
    removeSocketFile(path) {
      if (!path.startsWith("\0")) removeFile(path);
    },
    resolve: (name, servers) => resolveName(names, name, { timeoutMs: lookupMs, servers }),
    knownAddresses: (name) => localAddresses(names, name),
    ask: (question, servers) => names.client.ask(question, { timeoutMs: lookupMs, servers }),
    fileStamp,
    readFile: readText,
    openState: (configured) => openStateDirectory(configured, environment()),
  };
}

function spawn(options: SystemHostOptions, worker: number, events: WorkerEvents): WorkerProcess {
  const boot: WorkerBoot = { worker, memoryBytes: options.memory.bytes, logLevel: options.logLevel() };
  const channel = createChannel();
  let running: SystemWorker | null = null;
  try {
    const child = spawnWorker({
      args: options.workerArgs,
      env: { [BOOT_VARIABLE]: JSON.stringify(boot) },
      channelFd: channel.farFd,
      memoryFd: options.memory.fd,
      onMessage: (message) => events.onMessage(message as FromWorker),
      onExit: (code, signal) => {
        running?.close();
        events.onExit(code, signal);
      },
      ...(options.script === undefined ? {} : { script: options.script }),
    });
    running = new SystemWorker(child, channel.nearFd);
    closeFd(channel.farFd);
    return running;
  } catch (error) {
    closeChannel(channel);
    throw error;
  }
}
