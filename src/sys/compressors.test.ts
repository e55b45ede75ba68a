// What comes out of the compressors is what went in, for any cut and flush; nothing stays behind when one is let go of;
// and Bun goes on offering what they are made of.

import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { brotliDecompressSync, constants, gunzipSync, zstdDecompressSync } from "node:zlib";
import type { ByteCompressor, Rng } from "../base/ports.ts";
import { seededRng } from "../base/seeded-rng.ts";
import { CompressorSupply } from "./compressors.ts";

const C = constants;
const codings = ["gzip", "br", "zstd"] as const;
type Coding = (typeof codings)[number];
const nothing = new Uint8Array(0);

/** Everything that can be read of a content that may not be whole. */
function decode(coding: Coding, bytes: Uint8Array): Buffer {
  if (coding === "gzip") return gunzipSync(bytes, { finishFlush: C.Z_SYNC_FLUSH });
  if (coding === "br") return brotliDecompressSync(bytes, { finishFlush: C.BROTLI_OPERATION_FLUSH });
  return zstdDecompressSync(bytes, { finishFlush: C.ZSTD_e_flush });
}

/** A whole content; throws if the end is not told. */
function decodeWhole(coding: Coding, bytes: Uint8Array): Buffer {
  if (coding === "gzip") return gunzipSync(bytes);
  if (coding === "br") return brotliDecompressSync(bytes);
  if (!endsFrame(bytes)) throw new Error("the frame has no end"); // which Bun's decoder does not mind
  return zstdDecompressSync(bytes);
}

/** True if the bytes are one whole frame of Zstandard (RFC 8878 3.1.1) whose window is of 8 MB at most (RFC 9659). */
function endsFrame(bytes: Uint8Array): boolean {
  const descriptor = bytes[4]!;
  if ((descriptor & 0x17) !== 0) throw new Error("expected neither a checksum nor a dictionary");
  const single = (descriptor >> 5) & 1; // the window is the content, which a single write has brought whole
  if (single === 0 && bytes[5]! >> 3 > 13) throw new Error("expected a window of 8 MB at most");
  let at = 6 - single + [single, 2, 4, 8][descriptor >> 6]!;
  for (;;) {
    if (at + 3 > bytes.length) return false;
    const header = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16);
    at += 3 + (((header >> 1) & 3) === 1 ? 1 : header >> 3);
    if ((header & 1) === 1) return at === bytes.length;
  }
}

const words = Array.from({ length: 300 }, (_, i) => `word${(i * 7919) % 1000} `);

/** Prose, noise, or one byte over and over. */
function content(rng: Rng, length: number): Buffer {
  const kind = rng.below(4);
  if (kind === 0) return Buffer.from(Array.from({ length }, () => rng.below(256)));
  if (kind === 1) return Buffer.alloc(length, rng.below(256));
  let text = "";
  while (text.length < length) text += words[rng.below(words.length)]!;
  return Buffer.from(text.slice(0, length));
}

function compress(compressor: ByteCompressor, pieces: readonly Uint8Array[]): Buffer {
  const out = pieces.map((piece, i) => {
    return Buffer.from(compressor.write(piece, 0, piece.length, i === pieces.length - 1));
  });
  compressor.close();
  return Buffer.concat(out);
}

function open(supply: CompressorSupply, coding: Coding, level = 4): ByteCompressor {
  return supply.open(coding, level)!;
}

function memoryKb(): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync("/proc/self/status", "latin1"))![1]);
}

describe("round trip", () => {
  for (const coding of codings) {
    test(`${coding}: any content in any pieces, and every piece can be read at once`, () => {
      const seed = Math.floor(Math.random() * 2 ** 32);
      const rng = seededRng(seed);
      const runs = Number(process.env["COMPRESS_RUNS"] ?? 60);
      for (let run = 0; run < runs; run++) {
        // A small output makes it grow, and end, at every place.
        const supply = new CompressorSupply(1, run % 2, 7 + rng.below(200));
        const compressor = open(supply, coding, 1 + rng.below(9));
        const input = content(rng, rng.below(rng.below(4) === 0 ? 200_000 : 3000));
        const out: Buffer[] = [];
        let at = 0;
        for (let ended = false; !ended;) {
          const end = Math.min(input.length, at + rng.below(rng.below(3) === 0 ? 70_000 : 300));
          ended = end === input.length && rng.below(2) === 0;
          out.push(Buffer.from(compressor.write(input, at, end, ended)));
          at = end;
          const isRead = ended || rng.below(20) > 0 || decode(coding, Buffer.concat(out)).equals(input.subarray(0, at));
          expect([seed, run, isRead]).toEqual([seed, run, true]);
        }
        compressor.close();
        expect([seed, run, decodeWhole(coding, Buffer.concat(out)).equals(input)]).toEqual([seed, run, true]);
      }
    });
  }
});

describe.each(codings)("%s", (coding) => {
  test("what went in can be read before the end, and the end is told", () => {
    const compressor = open(new CompressorSupply(), coding);
    const out: Uint8Array[] = [];
    for (const word of ["one ", "two ", "three "]) {
      const piece = Buffer.from(word);
      out.push(Buffer.from(compressor.write(piece, 0, piece.length, false)));
    }
    expect(decode(coding, Buffer.concat(out)).toString()).toBe("one two three ");
    expect(() => decodeWhole(coding, Buffer.concat(out))).toThrow();
    compressor.close();
  });

  test("nothing at all is a content too", () => {
    const out = compress(open(new CompressorSupply(), coding), [nothing]);
    expect(decodeWhole(coding, out).length).toBe(0);
  });

  test("an end that just fits into the output is told once", () => {
    const input = content(seededRng(5), 60);
    for (let size = 7; size < 120; size++) {
      for (const pieces of [[input], [input, nothing], [input.subarray(0, 30), input.subarray(30)]]) {
        const out = compress(open(new CompressorSupply(1, 0, size), coding), pieces);
        expect(decodeWhole(coding, out).equals(input)).toBe(true);
      }
    }
  });

  test("each level works, and the ninth is worth its while", () => {
    const supply = new CompressorSupply();
    const input = readFileSync(new URL("../../docs/configuration.md", import.meta.url));
    const sizes = Array.from({ length: 9 }, (_, i) => {
      const out = compress(open(supply, coding, i + 1), [input]);
      expect(decodeWhole(coding, out).equals(input)).toBe(true);
      return out.length;
    });
    expect(sizes[8]).toBeLessThan(sizes[3]!);
    expect(sizes[3]).toBeLessThan(sizes[0]!);
  });

  test("the next one knows nothing of the one before, ended or not", () => {
    const supply = new CompressorSupply();
    const rng = seededRng(1);
    const inputs = [content(rng, 100_000), content(rng, 5000), content(rng, 70_000)];
    const fresh = inputs.map((input) => compress(open(new CompressorSupply(), coding), [input]));
    for (let round = 0; round < 6; round++) {
      const given = open(supply, coding);
      const other = inputs[(round + 1) % 3]!;
      given.write(other, 0, other.length, round % 2 === 0);
      given.close();
      const out = compress(open(supply, coding), [inputs[round % 3]!]);
      expect(out.equals(fresh[round % 3]!)).toBe(true);
    }
    expect(supply.opened).toBe(0);
  });

  test("who closed it reaches it no more", () => {
    const supply = new CompressorSupply();
    const first = open(supply, coding);
    first.close();
    const second = open(supply, coding);
    const text = Buffer.from("mine");
    const out = Buffer.from(second.write(text, 0, 4, false));
    first.close();
    expect(() => first.write(text, 0, 4, false)).toThrow("closed");
    expect(supply.opened).toBe(1);
    const end = Buffer.from(second.write(nothing, 0, 0, true));
    expect(decodeWhole(coding, Buffer.concat([out, end])).toString()).toBe("mine");
    second.close();
    expect(supply.opened).toBe(0);
  });

  test("no more are open than there may be", () => {
    const supply = new CompressorSupply(3);
    const all = [open(supply, coding), open(supply, coding), open(supply, coding)];
    expect(supply.open(coding, 4)).toBeNull();
    expect(supply.open("gzip", 4)).toBeNull();
    all[1]!.close();
    expect(supply.open(coding, 4)).not.toBeNull();
    expect(supply.open(coding, 4)).toBeNull();
  });

  test("streams given up in the middle leave no memory behind", () => {
    const supply = new CompressorSupply();
    const input = content(seededRng(2), 20_000);
    const run = (count: number): void => {
      for (let i = 0; i < count; i++) {
        const compressor = open(supply, coding, 1 + (i % 5));
        compressor.write(input, 0, i % 100 === 0 ? input.length : 200, false);
        compressor.close();
      }
    };
    run(400);
    const before = memoryKb();
    run(3400); // 10,200 of all codings, 0.3 to 1 MB each
    expect(supply.opened).toBe(0);
    expect(memoryKb() - before).toBeLessThan(100_000);
  });

  test("one takes no more than 3 MB, whatever the level", () => {
    const input = content(seededRng(3), 200_000);
    for (const level of [4, 7, 9]) {
      const supply = new CompressorSupply();
      const before = memoryKb();
      const all = Array.from({ length: 12 }, () => open(supply, coding, level));
      for (const each of all) each.write(input, 0, input.length, false);
      expect((memoryKb() - before) / all.length).toBeLessThan(3000);
      for (const each of all) each.close();
    }
  });
});

test("what the library complains of is thrown, and its memory is not used again", () => {
  const supply = new CompressorSupply();
  const first = open(supply, "gzip");
  const text = Buffer.from("text");
  first.write(text, 0, 4, true);
  expect(() => first.write(text, 0, 4, false)).toThrow("gzip: ");
  first.close();
  const out = compress(open(supply, "gzip"), [text]);
  expect(decodeWhole("gzip", out).toString()).toBe("text");
});
