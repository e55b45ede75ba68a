// What the supervisor needs of the machine besides the Env ports: processes, listening descriptors, names. The real
// thing is system-host.ts; tests bring their own.

import type { BindAddress } from "../model/config.ts";
import type { DnsQuestion } from "../wire/dns/message.ts";
import type { DnsReply } from "./dns-client.ts";
import type { StateDirectory } from "../sys/state-directory.ts";
import type { FromWorker, ToWorker } from "./messages.ts";

/** A running worker process. */
export interface WorkerProcess {
  readonly pid: number;
  /** Sends the descriptors, then the message. The descriptors stay the caller's. False when the worker is gone. */
  send(message: ToWorker, fds: readonly number[]): boolean;
  kill(): void;
}

export interface WorkerEvents {
  onMessage(message: FromWorker): void;
  /** Called once, never before spawn() returns. */
  onExit(code: number | null, signal: string | null): void;
}

export interface BoundSocket {
  readonly fd: number;
  readonly port: number;
}

export interface NameAnswer {
  /** IP literals, at least one, in the order of preference. */
  readonly addresses: readonly string[];
  /** How long the answer may be kept; null if the source does not say. */
  readonly ttlMs: number | null;
}

export interface Host {
  /** Starts worker process number `worker`. Throws when it cannot be started. */
  spawn(worker: number, events: WorkerEvents): WorkerProcess;
  /** Binds and listens. Throws an Error whose message is for the operator, its `code` the system's. */
  listen(bind: BindAddress, reusePort: boolean): BoundSocket;
  close(fd: number): void;
  /** Opens a file for appending; throws an Error for the operator. */
  openLog(path: string): number;
  /** Removes a unix socket's file; missing files are no error. */
  removeSocketFile(path: string): void;
  /**
   * Addresses of a host name, by these name servers or, if there are none, the system's. Rejects with an Error whose
   * message says why there is none.
   */
  resolve(name: string, servers: readonly string[]): Promise<NameAnswer>;
  /** Addresses that are known without asking anybody: of literals, of localhost, from the hosts file. */
  knownAddresses(name: string): readonly string[];
  /** Records of a name. No records is an answer; rejects with an Error whose message says why there is no answer. */
  ask(question: DnsQuestion, servers: readonly string[]): Promise<DnsReply>;
  /**
   * What changes whenever the file's content may have changed, also when the path leads to another file; "" if there is
   * no file.
   */
  fileStamp(path: string): string;
  /** The file's text in UTF-8, at most bytesMax long. Throws an Error for the operator. */
  readFile(path: string, bytesMax: number): string;
  /**
   * The directory for what must survive restarts; null = the first of the usual places. Throws an Error that says why.
   */
  openState(configured: string | null): StateDirectory;
}
