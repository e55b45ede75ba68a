// Mutations of byte strings for the fuzz driver: blind, seeded and bounded in length. Nothing here knows a format; the
// dictionary holds tokens on which parsers of the formats at hand turn.

import type { Rng } from "../src/base/ports.ts";

/** Mutated inputs never grow beyond this: long inputs cost runs and find little more. */
export const INPUT_BYTES_MAX = 64 * 1024;

const words: readonly string[] = [
  ...["\r\n", "\n", "\r", "\0", "\t", " ", ":", ";", ",", '"', "'", "\\", "/", "?", "#", "%", "*", "=", "-", "--", "~"],
  ...[
    "{",
    "}",
    "[",
    "]",
    "&a",
    "*a",
    "<<",
    "- ",
    ": ",
    "? ",
    "| ",
    "> ",
    "!!str ",
    "---\n",
    "...\n",
    "%YAML 1.1\n",
    "\u{feff}",
  ],
  ...["HTTP/1.1", "HTTP/1.0", "HTTP/9.9", "GET ", "HEAD ", "CONNECT ", "http://", "\r\n\r\n", "chunked", "close"],
  ...[
    "Content-Length: ",
    "Transfer-Encoding: ",
    "Connection: ",
    "Host: ",
    "Upgrade: ",
    "Expect: 100-continue",
    "0\r\n\r\n",
  ],
  ...[
    "0",
    "-1",
    "1",
    "255",
    "256",
    "65535",
    "65536",
    "2147483648",
    "4294967296",
    "9007199254740993",
    "1e999",
    "0x7f",
    ".nan",
  ],
  ...[
    "true",
    "false",
    "null",
    "off",
    "unlimited",
    "10s",
    "64k",
    "125%",
    "__proto__",
    "constructor",
    "::1",
    "127.0.0.1:80",
  ],
];
const dictionary: readonly Uint8Array[] = words.map((word) => new TextEncoder().encode(word));
const interesting: readonly number[] = [
  0, 1, 9, 10, 13, 32, 34, 39, 45, 58, 64, 127, 128, 192, 194, 224, 237, 239, 244, 254, 255,
];

type Mutation = (bytes: Uint8Array, random: Rng, seeds: readonly Uint8Array[]) => Uint8Array;

/** bytes with [at, at + cut) replaced by insert, cut to the longest allowed length. */
function replace(bytes: Uint8Array, at: number, cut: number, insert: Uint8Array): Uint8Array {
  const out = new Uint8Array(bytes.length - cut + insert.length);
  out.set(bytes.subarray(0, at));
  out.set(insert, at);
  out.set(bytes.subarray(at + cut), at + insert.length);
  return out.length > INPUT_BYTES_MAX ? out.subarray(0, INPUT_BYTES_MAX) : out;
}

/** A random slice [start, end) of bytes, short ones more often. */
function slice(bytes: Uint8Array, random: Rng): Uint8Array {
  const start = random.below(bytes.length + 1);
  const longest = Math.min(bytes.length - start, 1 << random.below(12));
  return bytes.slice(start, start + random.below(longest + 1));
}

const mutations: readonly Mutation[] = [
  function flipBit(bytes, random) {
    if (bytes.length === 0) return bytes;
    const at = random.below(bytes.length);
    bytes[at] = bytes[at]! ^ (1 << random.below(8));
    return bytes;
  },
  function setByte(bytes, random) {
    if (bytes.length === 0) return bytes;
    bytes[random.below(bytes.length)] = random.below(256);
    return bytes;
  },
  function setInteresting(bytes, random) {
    if (bytes.length === 0) return bytes;
    bytes[random.below(bytes.length)] = interesting[random.below(interesting.length)]!;
    return bytes;
  },
  function insertWord(bytes, random) {
    return replace(bytes, random.below(bytes.length + 1), 0, dictionary[random.below(dictionary.length)]!);
  },
  function overwriteWithWord(bytes, random) {
    const word = dictionary[random.below(dictionary.length)]!;
    const at = random.below(bytes.length + 1);
    return replace(bytes, at, Math.min(word.length, bytes.length - at), word);
  },
  function deleteSlice(bytes, random) {
    const at = random.below(bytes.length + 1);
    return replace(bytes, at, slice(bytes.subarray(at), random).length, new Uint8Array(0));
  },
  function duplicateSlice(bytes, random) {
    const piece = slice(bytes, random);
    let out = bytes;
    for (let times = 1 + random.below(4); times > 0; times--)
      out = replace(out, random.below(out.length + 1), 0, piece);
    return out;
  },
  function truncate(bytes, random) {
    return bytes.subarray(0, random.below(bytes.length + 1));
  },
  function splice(bytes, random, seeds) {
    const other = seeds[random.below(seeds.length)]!;
    const at = random.below(bytes.length + 1);
    return replace(bytes, at, bytes.length - at, other.subarray(random.below(other.length + 1)));
  },
  function insertFromOther(bytes, random, seeds) {
    return replace(bytes, random.below(bytes.length + 1), 0, slice(seeds[random.below(seeds.length)]!, random));
  },
  function repeatByte(bytes, random) {
    const run = new Uint8Array(1 << random.below(13)).fill(bytes[random.below(Math.max(1, bytes.length))] ?? 0);
    return replace(bytes, random.below(bytes.length + 1), 0, run);
  },
];

/** Returns a function that gives a fresh mutated input at each call: one seed, then one to eight mutations. */
export function createMutator(seeds: readonly Uint8Array[], random: Rng): () => Uint8Array {
  return () => {
    let bytes = seeds[random.below(seeds.length)]!.slice(0, INPUT_BYTES_MAX);
    for (let steps = 1 + random.below(8); steps > 0; steps--) {
      bytes = mutations[random.below(mutations.length)]!(bytes, random, seeds).slice();
    }
    return bytes;
  };
}
