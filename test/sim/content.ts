// The bytes of bodies and tunnels: a stream without period that its key alone decides, so that any byte at any offset
// can be checked, and a byte of one message in another one does not pass.

import { mix32 } from "../../src/base/hash.ts";

function wordAt(key: number, index: number): number {
  return mix32((key + Math.imul(index, 0x9e3779b9)) | 0);
}

/** length bytes of the stream from offset on. */
export function content(key: number, offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let at = 0;
  while (at < length) {
    const position = offset + at;
    let word = wordAt(key, position >>> 2) >>> ((position & 3) * 8);
    for (let k = position & 3; k < 4 && at < length; k++, word >>>= 8) bytes[at++] = word & 255;
  }
  return bytes;
}

/** Index of the first byte that is not the stream's from offset on; -1 = all are. */
export function firstForeign(key: number, offset: number, bytes: Uint8Array): number {
  let at = 0;
  while (at < bytes.length) {
    const position = offset + at;
    let word = wordAt(key, position >>> 2) >>> ((position & 3) * 8);
    for (let k = position & 3; k < 4 && at < bytes.length; k++, word >>>= 8, at++) {
      if (bytes[at] !== (word & 255)) return at;
    }
  }
  return -1;
}

/** A key for each kind of stream of a number. */
export function keyOf(kind: "request" | "response" | "up" | "down", id: number): number {
  const salt = { request: 1, response: 2, up: 3, down: 4 }[kind];
  return mix32(Math.imul(id, 8) + salt);
}
