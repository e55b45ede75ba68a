// A Sealer without secrets, for runs that repeat themselves exactly: nonces count up, and the tag is a checksum.

import { mix32 } from "../../src/base/hash.ts";
import { type Opened, SEAL_BYTES, type Sealer } from "../../src/base/ports.ts";

const NONCE_BYTES = 12;

function tagOf(bytes: Uint8Array, start: number, end: number): number {
  let tag = 0;
  for (let i = start; i < end; i++) tag = mix32(tag * 31 + bytes[i]!);
  return tag;
}

export function simSealer(): Sealer {
  let count = 0;
  return {
    seal(plain) {
      const sealed = new Uint8Array(plain.length + SEAL_BYTES);
      const view = new DataView(sealed.buffer);
      view.setUint32(0, ++count);
      sealed.set(plain, NONCE_BYTES);
      const end = NONCE_BYTES + plain.length;
      view.setInt32(end, tagOf(sealed, 0, end));
      return sealed;
    },
    open(bytes, start, end): Opened | null {
      if (end - start < SEAL_BYTES) return null;
      const plainEnd = end - SEAL_BYTES + NONCE_BYTES;
      const tag = new DataView(bytes.buffer, bytes.byteOffset).getInt32(plainEnd);
      if (tag !== tagOf(bytes, start, plainEnd)) return null;
      return { plain: bytes.slice(start + NONCE_BYTES, plainEnd), outdated: false };
    },
  };
}
