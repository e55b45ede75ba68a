// The sending side that both HTTP/1.1 codecs share: one scratch buffer to assemble heads in, a cork so that a head and
// the body bytes that came with it leave in one write, and the unsent rest that a connection keeps while its peer is
// slow.

import { keep } from "../base/lending.ts";
import { copyBytes, copyOf, Scratch } from "../base/bytes.ts";
import { bodyCopyMax } from "../base/limits.ts";
import type { Connection } from "../base/ports.ts";
import { Flow } from "./stream.ts";

/** What a codec has so that offer() can work on it. */
export interface Outlet {
  readonly connection: Connection;
  /** Bytes the kernel did not take yet, from pendingAt on. While there are any, the source is paused. */
  pending: Uint8Array | null;
  pendingAt: number;
  /** What the peer had not acknowledged when we began to wait for it; see noteUnsent(). */
  unsentBefore: number;
  /** Bytes accepted by the kernel so far. */
  bytesOut: number;
}

/** Where heads are assembled. Empty between two calls from outside, except while corked. */
export const assembly = new Scratch(64 * 1024);
let corkedFor: Outlet | null = null;

/** Starts a message in the scratch buffer. */
export function begin(): Scratch {
  if (corkedFor !== null) uncork();
  assembly.length = 0;
  return assembly;
}

/** The scratch buffer, behind this outlet's waiting head if there is one. */
export function proceed(outlet: Outlet): Scratch {
  return corkedFor === outlet ? assembly : begin();
}

/**
 * Sends what was assembled; with `more` it waits for the body bytes that follow in this call stack, or for uncork().
 */
export function send(outlet: Outlet, more: boolean): Flow {
  if (more) {
    corkedFor = outlet;
    return Flow.Go;
  }
  return sendAssembled(outlet, false);
}

function sendAssembled(outlet: Outlet, more: boolean): Flow {
  if (corkedFor === outlet) corkedFor = null;
  const flow = offer(outlet, assembly.bytes, 0, assembly.length, false, more);
  assembly.length = 0;
  return flow;
}

/** Sends a head that was waiting for body bytes which did not come. Called at the end of every receive. */
export function uncork(): void {
  const outlet = corkedFor;
  if (outlet === null) return;
  corkedFor = null;
  offer(outlet, assembly.bytes, 0, assembly.length, false);
  assembly.length = 0;
}

/** Throws away a waiting head: its stream is being reset. */
export function discardCork(outlet: Outlet): void {
  if (corkedFor !== outlet) return;
  corkedFor = null;
  assembly.length = 0;
}

/**
 * Sends body bytes behind whatever was assembled for this outlet. `tail` are a few constant bytes after them (or
 * empty). The body bytes themselves may be kept until the peer takes them.
 */
export function sendBody(outlet: Outlet, bytes: Uint8Array, start: number, end: number, tail: Uint8Array): Flow {
  if (corkedFor === outlet) corkedFor = null;
  else if (corkedFor !== null) uncork();
  if (end - start <= bodyCopyMax && (assembly.length > 0 || tail.length > 0)) {
    assembly.put(bytes, start, end);
    assembly.putAll(tail);
    return send(outlet, false);
  }
  let flow: Flow = Flow.Go;
  if (assembly.length > 0) flow = sendAssembled(outlet, end > start);
  if (flow !== Flow.Closed && end > start) flow = offer(outlet, bytes, start, end, true);
  if (flow !== Flow.Closed && tail.length > 0) flow = offer(outlet, tail, 0, tail.length, true);
  return flow;
}

/**
 * Gives bytes to the kernel and keeps what it does not take. ownable = the caller's array may be held on to as it is;
 * more = others follow at once.
 */
export function offer(
  outlet: Outlet,
  bytes: Uint8Array,
  start: number,
  end: number,
  ownable: boolean,
  more = false,
): Flow {
  if (outlet.pending !== null) {
    append(outlet, bytes, start, end);
    return Flow.Pause;
  }
  const accepted = outlet.connection.write(bytes, start, end, more);
  if (accepted < 0) return Flow.Closed;
  outlet.bytesOut += accepted;
  if (accepted === end - start) return Flow.Go;
  outlet.pending = ownable ? keep(bytes, start + accepted, end) : copyOf(bytes, start + accepted, end);
  outlet.pendingAt = 0;
  return Flow.Pause;
}

/** Tries to get rid of the pending bytes: Go when none are left. */
export function flush(outlet: Outlet): Flow {
  const bytes = outlet.pending;
  if (bytes === null) return Flow.Go;
  const accepted = outlet.connection.write(bytes, outlet.pendingAt, bytes.length);
  if (accepted < 0) return Flow.Closed;
  outlet.bytesOut += accepted;
  outlet.pendingAt += accepted;
  if (outlet.pendingAt < bytes.length) return Flow.Pause;
  outlet.pending = null;
  return Flow.Go;
}

/** Begins a wait for the peer to read. */
export function noteUnsent(outlet: Outlet): void {
  outlet.unsentBefore = outlet.connection.unsent();
}

/**
 * Has the peer read anything since noteUnsent()? The kernel reports room for more only when a third of its buffer,
 * perhaps a megabyte, is free: a slow but living peer would be taken for a dead one.
 */
export function peerReads(outlet: Outlet): boolean {
  if (outlet.pending === null) return false;
  const unsent = outlet.connection.unsent();
  return unsent >= 0 && unsent < outlet.unsentBefore;
}

/** Gives up what is pending, for whoever takes the connection over. */
export function takePending(outlet: Outlet): Uint8Array | null {
  const bytes = outlet.pending;
  outlet.pending = null;
  return bytes === null ? null : bytes.subarray(outlet.pendingAt);
}

// A source that was told to pause sends at most the rest of what it already holds, so this stays small and rare.
function append(outlet: Outlet, bytes: Uint8Array, start: number, end: number): void {
  const old = outlet.pending!;
  const kept = old.length - outlet.pendingAt;
  const joined = new Uint8Array(kept + end - start);
  copyBytes(joined, 0, old, outlet.pendingAt, old.length);
  copyBytes(joined, kept, bytes, start, end);
  outlet.pending = joined;
  outlet.pendingAt = 0;
}
