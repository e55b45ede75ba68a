// SHA-crypt, the $5$ and $6$ hashes of passwords of most Unix systems (U. Drepper, "Unix crypt using SHA-256 and
// SHA-512", version 0.6). It is computed on the thread of traffic, in pieces with turns of the event loop between them:
// a whole hash takes milliseconds.

import { shaCrypt } from "../base/passwords.ts";
import { nextTurn } from "./reactor.ts";

interface Kind {
  readonly bytes: number;
  hash(input: Uint8Array, out: Uint8Array): void;
  /** Order of the digest's bytes in the text: the first three, and how the next three follow from them. */
  readonly first: readonly [number, number, number];
  readonly next: (bytes: readonly [number, number, number]) => readonly [number, number, number];
}

const sha256: Kind = {
  bytes: 32,
  hash: (input, out) => void Bun.SHA256.hash(input, out),
  first: [0, 10, 20],
  next: ([a, b, c]) => [c + 1, a + 1, b + 1],
};
const sha512: Kind = {
  bytes: 64,
  hash: (input, out) => void Bun.SHA512.hash(input, out),
  first: [0, 21, 42],
  next: ([a, b, c]) => [b + 1, c + 1, a + 1],
};

const roundsByDefault = 5000;
/** Rounds between two turns of the event loop: about half a millisecond. */
const roundsAtOnce = 500;
const alphabet = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/** The last part of the hash of this password under the parameters of `hash`, a well-formed one. */
export async function shaCryptDigest(password: Uint8Array, hash: string): Promise<string> {
  const [, number, rounds, saltText] = shaCrypt.exec(hash)!;
  const kind = number === "5" ? sha256 : sha512;
  const salt = new TextEncoder().encode(saltText);
  let digest: Uint8Array = start(kind, password, salt);
  const p = repeated(kind, password, password.length);
  const s = repeated(kind, salt, 16 + digest[0]!);
  digest = digest.slice();
  const end = Number(rounds ?? roundsByDefault);
  const buffer = new Uint8Array(2 * kind.bytes + 2 * p.length + s.length);
  for (let i = 0; i < end; i++) {
    let at = 0;
    const put = (bytes: Uint8Array): void => {
      buffer.set(bytes, at);
      at += bytes.length;
    };
    put(i % 2 === 1 ? p : digest);
    if (i % 3 !== 0) put(s);
    if (i % 7 !== 0) put(p);
    put(i % 2 === 1 ? digest : p);
    kind.hash(buffer.subarray(0, at), digest);
    if (i % roundsAtOnce === roundsAtOnce - 1) await nextTurn();
  }
  return textOf(kind, digest);
}

/** The digest before the rounds: steps 1 to 12. */
function start(kind: Kind, password: Uint8Array, salt: Uint8Array): Uint8Array {
  const inner = digestOf(kind, [password, salt, password]);
  const parts: Uint8Array[] = [password, salt];
  for (let left = password.length; left > 0; left -= kind.bytes)
    parts.push(inner.subarray(0, Math.min(left, kind.bytes)));
  for (let bits = password.length; bits > 0; bits >>= 1) parts.push((bits & 1) === 1 ? inner : password);
  return digestOf(kind, parts);
}

/** As many bytes as `input` has, of the digest of `input` so many times after itself: steps 13 to 20. */
function repeated(kind: Kind, input: Uint8Array, times: number): Uint8Array {
  const digest = digestOf(
    kind,
    Array.from({ length: times }, () => input),
  );
  return Uint8Array.from(input, (_, i) => digest[i % kind.bytes]!);
}

function digestOf(kind: Kind, parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(kind.bytes);
  kind.hash(Buffer.concat(parts), out);
  return out;
}

function textOf(kind: Kind, digest: Uint8Array): string {
  let text = "";
  const put = (value: number, characters: number): void => {
    for (let k = 0, rest = value; k < characters; k++, rest >>= 6) text += alphabet[rest & 63];
  };
  let bytes = kind.first;
  for (let k = 0; k + 3 <= kind.bytes; k += 3, bytes = kind.next(bytes)) {
    put((digest[bytes[0]]! << 16) | (digest[bytes[1]]! << 8) | digest[bytes[2]]!, 4);
  }
  if (kind === sha256) put((digest[31]! << 8) | digest[30]!, 3);
  else put(digest[63]!, 2);
  return text;
}
