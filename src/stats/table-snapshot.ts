// Shared tables as bytes and back, so that what they know survives a restart or moves to a table of another size. Times
// are kept as ages, for the monotonic clock begins anew with the machine. What cannot be read in full is refused with a
// reason: half a snapshot is none.
//
// Little-endian: "SLUICETB", version, checksum of all behind it, seconds since the Unix epoch when it was made, the
// seed of the hashes, number of tables; of each table its name (length, UTF-8), value words of an entry, number of
// entries; of each entry hash, values, age in seconds. All numbers are 32 bits wide, but the seconds, which have 64.

import { hashBytes } from "../base/hash.ts";
import type { HashSeed } from "../base/keyed-hash.ts";
import type { SharedTable } from "./shared-table.ts";

/** Entries of a table at one moment, as columns. */
export interface TableRows {
  readonly count: number;
  readonly values: number;
  /** For each entry hash a, hash b and its values. */
  readonly words: Int32Array;
  /** Seconds since its last use. */
  readonly ageS: Uint32Array;
}

export interface Snapshot {
  readonly seed: HashSeed;
  /** Seconds since the Unix epoch. */
  readonly madeS: number;
  readonly tables: ReadonlyMap<string, TableRows>;
}

const magic = new TextEncoder().encode("SLUICETB");
const VERSION = 1;
const CHECKED_FROM = 16;
const HEADER_BYTES = 36;
const NAME_BYTES_MAX = 4096;
const VALUES_MAX = 64;
/** Ages are counted in steps not longer than this. */
const stepMs = 100;

/** Copies the entries that have values, while others go on using the table. */
export function rowsOf(table: SharedTable, nowMs: number): TableRows {
  const { values } = table.shape;
  const stride = 2 + values;
  const room = table.count() + 64; // some more may come meanwhile; what comes then waits for the next snapshot
  const words = new Int32Array(room * stride);
  const ageS = new Uint32Array(room);
  let count = 0;
  table.each((slot, a, b) => {
    if (count === room) return;
    const at = count * stride;
    words[at] = a;
    words[at + 1] = b;
    let used = 0;
    for (let k = 0; k < values; k++) used |= words[at + 2 + k] = table.load(slot, k);
    ageS[count] = table.ageMs(slot, nowMs) / 1000;
    if (used !== 0 && table.holds(slot, a, b)) count++;
  });
  return { count, values, words, ageS };
}

/**
 * Puts rows into a table, oldest first, so that the newest stay when there is no room for all. Keys that are there
 * already are left as they are: they are newer. olderMs: how long ago the rows were made. ttlMs: older ones are left
 * out; 0 = none are.
 */
export function fillFrom(table: SharedTable, rows: TableRows, nowMs: number, olderMs: number, ttlMs: number): void {
  if (rows.values !== table.shape.values) return;
  const { words, ageS, count } = rows;
  const stride = 2 + rows.values;
  // Age and place in one exact number: sorted by the engine, without a comparison of ours.
  const order = new Float64Array(count);
  for (let i = 0; i < count; i++) order[i] = ageS[i]! * count + i;
  order.sort();
  for (let k = count - 1; k >= 0; k--) {
    const i = order[k]! % count;
    const ageMs = ageS[i]! * 1000 + olderMs;
    if (ttlMs !== 0 && ageMs > ttlMs) continue;
    const a = words[i * stride]!;
    const b = words[i * stride + 1]!;
    if (table.find(a, b) >= 0) continue;
    const slot = table.claim(a, b, nowMs);
    if (slot < 0) continue; // not to be had for the moment
    for (let v = 0; v < rows.values; v++) table.store(slot, v, words[i * stride + 2 + v]!);
    table.touch(slot, nowMs - ageMs);
  }
}

/** True if some entry was made, changed or touched at or after thenMs: whether there is anything new to be saved. */
export function wasUsedSince(table: SharedTable, thenMs: number, nowMs: number): boolean {
  let youngestMs = Infinity;
  table.each((slot) => {
    youngestMs = Math.min(youngestMs, table.ageMs(slot, nowMs));
  });
  return youngestMs !== Infinity && nowMs - youngestMs >= thenMs - stepMs;
}

export function encodeSnapshot(snapshot: Snapshot): Uint8Array {
  const names = new Map([...snapshot.tables.keys()].map((name) => [name, new TextEncoder().encode(name)]));
  let size = HEADER_BYTES;
  for (const [name, { count, values }] of snapshot.tables) {
    size += 12 + names.get(name)!.length + count * (3 + values) * 4;
  }
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  bytes.set(magic);
  view.setUint32(8, VERSION, true);
  view.setFloat64(CHECKED_FROM, snapshot.madeS, true);
  view.setInt32(24, snapshot.seed.k0, true);
  view.setInt32(28, snapshot.seed.k1, true);
  view.setUint32(32, snapshot.tables.size, true);
  let at = HEADER_BYTES;
  for (const [name, rows] of snapshot.tables) {
    const nameBytes = names.get(name)!;
    view.setUint32(at, nameBytes.length, true);
    bytes.set(nameBytes, at + 4);
    at += 4 + nameBytes.length;
    view.setUint32(at, rows.values, true);
    view.setUint32(at + 4, rows.count, true);
    at = writeRows(view, at + 8, rows);
  }
  view.setUint32(12, hashBytes(bytes, CHECKED_FROM, bytes.length), true);
  return bytes;
}

function writeRows(view: DataView, start: number, { count, values, words, ageS }: TableRows): number {
  const stride = 2 + values;
  let at = start;
  for (let i = 0; i < count; i++) {
    for (let k = 0; k < stride; k++, at += 4) view.setInt32(at, words[i * stride + k]!, true);
    view.setUint32(at, ageS[i]!, true);
    at += 4;
  }
  return at;
}

/** What encodeSnapshot() made; a text says why the bytes are none, as a part of a sentence. */
export function decodeSnapshot(bytes: Uint8Array): Snapshot | string {
  if (bytes.length < HEADER_BYTES || magic.some((byte, i) => bytes[i] !== byte)) return "it is no snapshot of tables";
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const version = view.getUint32(8, true);
  if (version !== VERSION) return `it has version ${version} of the format, this program reads version ${VERSION}`;
  if (view.getUint32(12, true) !== hashBytes(bytes, CHECKED_FROM, bytes.length)) return "its checksum is wrong";
  const madeS = view.getFloat64(CHECKED_FROM, true);
  const tables = new Map<string, TableRows>();
  let at = HEADER_BYTES;
  for (let left = view.getUint32(32, true); left > 0; left--) {
    if (at + 4 > bytes.length) return broken;
    const nameBytes = view.getUint32(at, true);
    if (nameBytes > NAME_BYTES_MAX || at + 12 + nameBytes > bytes.length) return broken;
    const name = new TextDecoder().decode(bytes.subarray(at + 4, at + 4 + nameBytes));
    at += 4 + nameBytes;
    const values = view.getUint32(at, true);
    const count = view.getUint32(at + 4, true);
    at += 8;
    const end = at + count * (3 + values) * 4;
    if (values === 0 || values > VALUES_MAX || end > bytes.length) return broken;
    tables.set(name, readRows(view, at, count, values));
    at = end;
  }
  if (at !== bytes.length || !Number.isFinite(madeS)) return broken;
  return { seed: { k0: view.getInt32(24, true), k1: view.getInt32(28, true) }, madeS, tables };
}

const broken = "it is not whole";

function readRows(view: DataView, start: number, count: number, values: number): TableRows {
  const stride = 2 + values;
  const words = new Int32Array(count * stride);
  const ageS = new Uint32Array(count);
  let at = start;
  for (let i = 0; i < count; i++) {
    for (let k = 0; k < stride; k++, at += 4) words[i * stride + k] = view.getInt32(at, true);
    ageS[i] = view.getUint32(at, true);
    at += 4;
  }
  return { count, values, words, ageS };
}
