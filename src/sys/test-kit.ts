// What the tests of this folder share: waiting for a condition, recording a connection's events, and looking at this
// process's descriptors. Not used by the program.

import { readdirSync, readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import type { Connection, ConnectionEvents, Listening, Net, Target } from "../base/ports.ts";
import { keep } from "../base/lending.ts";
import { Cause } from "../base/ports.ts";
import { libc } from "./libc.ts";
import { closeFd, createListener } from "./listen-socket.ts";
import { decodePort, encodeAddress, encoded, sockaddr } from "./sockaddr.ts";
import type { NetOptions } from "./net-options.ts";
import { createNet as createRealNet } from "./net.ts";

/** Containers often come without IPv6. */
export const hasIpv6 = Object.values(networkInterfaces()).some((list) => list!.some((a) => a.address === "::1"));

/** Waits until the condition holds; fails with `what` after deadlineMs. */
export async function until(what: string, condition: () => boolean, deadlineMs = 5000): Promise<void> {
  const end = performance.now() + deadlineMs;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`waited ${deadlineMs} ms in vain for: ${what}`);
    await Bun.sleep(2);
  }
}

/** Lets everything that is already due happen: a few turns of the event loop. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
  await Bun.sleep(5);
}

/** Open descriptors of this process. */
export function openDescriptors(): number {
  return readdirSync("/proc/self/fd").length;
}

/** How many TCP sockets of this machine are in SYN_SENT towards this port of 127.0.0.1. */
export function synSentTo(port: number): number {
  const remote = `0100007F:${port.toString(16).toUpperCase().padStart(4, "0")} 02`;
  return readFileSync("/proc/net/tcp", "latin1")
    .split("\n")
    .filter((line) => line.includes(remote)).length;
}

/** Events that write down what they hear. */
export class Recorder implements ConnectionEvents {
  connection: Connection | null = null;
  opened = 0;
  finished = 0;
  drains = 0;
  closes: Cause[] = [];
  received = 0;
  chunks: Uint8Array[] = [];
  keep = true;
  order: string[] = [];

  onOpen(): void {
    this.opened++;
    this.order.push("open");
  }
  onData(bytes: Uint8Array): void {
    this.received += bytes.length;
    if (this.keep) {
      this.chunks.push(keep(bytes, 0, bytes.length));
    }
    this.order.push("data");
  }
  onDrain(): void {
    this.drains++;
  }
  onFinish(): void {
    this.finished++;
    this.order.push("finish");
  }
  onClose(cause: Cause): void {
    this.closes.push(cause);
    this.order.push("close");
  }
  get text(): string {
    return Buffer.concat(this.chunks).toString("latin1");
  }
  get isClosed(): boolean {
    return this.closes.length > 0;
  }
}

export interface Server {
  readonly net: Net;
  readonly listening: Listening;
  readonly target: Target;
  /** Accepted connections in order. */
  readonly accepted: Recorder[];
  /** Exceptions of the events. */
  readonly errors: unknown[];
}

export const anyPort = { ip: "127.0.0.1", port: 0, unixPath: null } as const;

/** The network under test. */
export let createNet: (options: NetOptions) => Net = createRealNet;

/** Puts another network under test. */
export function useNet(create: (options: NetOptions) => Net): void {
  createNet = create;
}

/** A TCP port of 127.0.0.1 that is taken but on which nobody listens: connecting to it is refused. */
export function closedPort(): { readonly target: Target; release(): void } {
  const fd = libc!.socket(2, 1, 0);
  encodeAddress("127.0.0.1", 0);
  libc!.bind(fd, sockaddr, encoded.length);
  libc!.getsockname(fd, sockaddr, new Uint32Array([sockaddr.length]));
  return { target: { ip: "127.0.0.1", port: decodePort(), unixPath: null }, release: () => closeFd(fd) };
}

/** A listener on a free port (or elsewhere) whose connections are recorded. */
export function serve(bind: Target = anyPort, onAccept: (recorder: Recorder) => void = () => {}): Server {
  const errors: unknown[] = [];
  const net = createNet({ onError: (error) => errors.push(error), keepAliveMs: 0 });
  const socket = createListener(bind, { backlog: 512, reusePort: false });
  const accepted: Recorder[] = [];
  const listening = net.adopt(socket.fd, socket.port, (connection) => {
    const recorder = new Recorder();
    recorder.connection = connection;
    accepted.push(recorder);
    onAccept(recorder);
    return recorder;
  });
  return { net, listening, target: { ...bind, port: socket.port }, accepted, errors };
}

/** Connects and records. */
export function dial(net: Net, target: Target): Recorder & { connection: Connection } {
  const recorder = new Recorder() as Recorder & { connection: Connection };
  recorder.connection = net.connect(target, recorder);
  return recorder;
}

/** A connected pair: our end and the accepted end. */
export async function connectedPair(
  server: Server,
): Promise<{ near: Recorder & { connection: Connection }; far: Recorder & { connection: Connection } }> {
  const index = server.accepted.length;
  const near = dial(server.net, server.target);
  await until("both ends open", () => near.opened === 1 && server.accepted.length > index);
  return { near, far: server.accepted[index] as Recorder & { connection: Connection } };
}

/** Bytes of which no two places look alike. */
export function pattern(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + (i >>> 8)) & 0xff;
  return bytes;
}

/** Writes all of the bytes, waiting for room as long as it takes. */
export async function writeAll(recorder: Recorder & { connection: Connection }, bytes: Uint8Array): Promise<void> {
  let at = 0;
  while (at < bytes.length) {
    const written = recorder.connection.write(bytes, at, bytes.length);
    if (written < 0) throw new Error("closed while writing");
    at += written;
    if (at < bytes.length) await Bun.sleep(1);
  }
}
