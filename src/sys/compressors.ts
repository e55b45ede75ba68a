// The port Compressors by node:zlib. Its streams work asynchronously, on other threads; what they are made of also
// works at once, and that is used here: the native handle of a stream, and the two words it leaves its results in.
// Node has both as well, and packages rest on them. compressors.test.ts holds Bun to it.
//
// Measured on Bun 1.4.5 (70 files of HTML, JSON, JavaScript and CSS, 3.5 MB, each by itself in pieces of 64 KB; CPU
// time per MB, what is left, memory of one stream after 700 KB):
//
//   level     gzip                   br                     zstd
//     1       2 ms  20.8 %  0.3 MB   3 ms  16.8 %  0.4 MB   2 ms  15.5 %  0.4 MB
//     4       5 ms  14.2 %  0.4 MB   8 ms  13.6 %  1.0 MB   6 ms  13.6 %  0.9 MB
//     6       8 ms  13.4 %  0.4 MB  14 ms  12.3 %  0.8 MB   9 ms  12.9 %  0.9 MB
//     9      18 ms  13.3 %  0.4 MB  23 ms  12.0 %  1.6 MB  13 ms  12.4 %  0.9 MB
//
// Opening and closing one costs 10 to 25 us. Only those for gzip are used again: a reset of the others loses their
// settings (brotli falls back to quality 11, which takes 1.4 s per MB).

import { constants, createBrotliCompress, createGzip, createZstdCompress } from "node:zlib";
import { Scratch } from "../base/bytes.ts";
import { compressorsKeptMax, compressorsMax } from "../base/limits.ts";
import type { ByteCompressor, Compressors } from "../base/ports.ts";

/** What a stream of node:zlib is made of. */
interface NativeStream {
  readonly _handle: {
    /** Takes bytes of input, puts bytes into output, and leaves in _writeState how much of both was not used. */
    writeSync(
      flush: number,
      input: Uint8Array,
      inputAt: number,
      inputLength: number,
      output: Uint8Array,
      outputAt: number,
      outputLength: number,
    ): void;
    /** As new, with the same settings; of gzip only. */
    reset(): void;
    /** Frees the memory, at once. */
    close(): void;
    /** Called within writeSync. */
    onerror: (message: string, errno: number, code: string) => void;
  };
  /** Room left in the output, bytes left in the input. */
  readonly _writeState: Uint32Array;
}

type Coding = Parameters<Compressors["open"]>[0];

const C = constants;

/** What brings out everything, before the end and at the end. */
const flushes: Readonly<Record<Coding, readonly [number, number]>> = {
  gzip: [C.Z_SYNC_FLUSH, C.Z_FINISH],
  br: [C.BROTLI_OPERATION_FLUSH, C.BROTLI_OPERATION_FINISH],
  zstd: [C.ZSTD_e_flush, C.ZSTD_e_end],
};

/** The streams' own buffer, which nobody uses, at its least. */
const chunkSize = C.Z_MIN_CHUNK;

/**
 * Brotli's own hash table from quality 5 on is 1 to 32 MB for windows of more than 64 KB, and below that 0.5 to 1 MB.
 */
function brotliOf(level: number): object {
  const window = level < 5 ? 17 : 16;
  return createBrotliCompress({
    chunkSize,
    params: { [C.BROTLI_PARAM_QUALITY]: level, [C.BROTLI_PARAM_LGWIN]: window },
  });
}

const { ZSTD_fast, ZSTD_dfast, ZSTD_greedy, ZSTD_lazy, ZSTD_lazy2 } = C;

/**
 * Zstandard's settings for sources of up to 128 KB (clevels.h of its source), by which a stream of unknown length takes
 * 1 MB instead of 2 to 10. Its levels 1 to 3 and 5 to 10: these cost about what the levels of the other two do.
 * Columns: its level, chainLog, hashLog, searchLog, minMatch, targetLength, strategy.
 */
const zstdLevels = [
  [1, 12, 13, 1, 6, 0, ZSTD_fast],
  [2, 13, 15, 1, 5, 0, ZSTD_fast],
  [3, 15, 16, 2, 5, 0, ZSTD_dfast],
  [5, 16, 17, 3, 4, 2, ZSTD_greedy],
  [6, 16, 17, 3, 4, 4, ZSTD_lazy],
  [7, 16, 17, 3, 4, 8, ZSTD_lazy2],
  [8, 16, 17, 4, 4, 8, ZSTD_lazy2],
  [9, 16, 17, 5, 4, 8, ZSTD_lazy2],
  [10, 16, 17, 6, 4, 8, ZSTD_lazy2],
] as const;

const zstdParams = zstdLevels.map(([level, chainLog, hashLog, searchLog, minMatch, targetLength, strategy]) => ({
  [C.ZSTD_c_compressionLevel]: level,
  [C.ZSTD_c_windowLog]: 17,
  [C.ZSTD_c_chainLog]: chainLog,
  [C.ZSTD_c_hashLog]: hashLog,
  [C.ZSTD_c_searchLog]: searchLog,
  [C.ZSTD_c_minMatch]: minMatch,
  [C.ZSTD_c_targetLength]: targetLength,
  [C.ZSTD_c_strategy]: strategy,
}));

function zstdOf(level: number): object {
  return createZstdCompress({ chunkSize, params: zstdParams[level - 1]! });
}

function newStream(coding: Coding, level: number): NativeStream {
  const stream =
    coding === "gzip" ? createGzip({ chunkSize, level }) : coding === "br" ? brotliOf(level) : zstdOf(level);
  return stream as NativeStream;
}

/** More than a frame of so many bytes can be long (ZSTD_COMPRESSBOUND, and its head and end). */
function zstdBound(length: number): number {
  return length + (length >> 8) + 256;
}

/** A stream of node:zlib, in use or kept for the next use. */
class Engine {
  readonly coding: Coding;
  readonly level: number;
  private readonly stream: NativeStream;
  private readonly flushes: readonly [number, number];
  /** What the library complained of; then it is of no further use. */
  trouble = "";

  constructor(coding: Coding, level: number) {
    this.coding = coding;
    this.level = level;
    this.stream = newStream(coding, level);
    this.flushes = flushes[coding];
    this.stream._handle.onerror = (message) => {
      this.trouble = message;
    };
  }

  /** Compresses into output, which is made wider where need be. Returns how many bytes came out. */
  run(bytes: Uint8Array, start: number, end: number, last: boolean, output: Scratch): number {
    const { _handle: handle, _writeState: state } = this.stream;
    const flush = this.flushes[last ? 1 : 0];
    output.length = 0;
    // At the end there is always room to spare: if the last byte of a frame just fits, zstd begins another frame.
    if (last) output.reserve(zstdBound(end - start));
    let at = start;
    for (;;) {
      const room = output.bytes.length - output.length;
      handle.writeSync(flush, bytes, at, end - at, output.bytes, output.length, room);
      if (this.trouble !== "") throw new Error(`${this.coding}: ${this.trouble}`);
      output.length += room - state[0]!;
      at = end - state[1]!;
      if (state[0]! > 0) return output.length; // all is in, and all is out
      output.reserve(1);
    }
  }

  reset(): void {
    this.stream._handle.reset();
  }

  free(): void {
    this.stream._handle.close();
  }
}

/** An engine for as long as one body takes: who closes twice, or writes later, reaches nobody else's. */
class Compressor implements ByteCompressor {
  private readonly supply: CompressorSupply;
  private readonly output: Scratch;
  private engine: Engine | null;

  constructor(supply: CompressorSupply, output: Scratch, engine: Engine) {
    this.supply = supply;
    this.output = output;
    this.engine = engine;
  }

  write(bytes: Uint8Array, start: number, end: number, last: boolean): Uint8Array {
    const { engine, output } = this;
    if (engine === null) throw new Error("a closed compressor was written to");
    const length = engine.run(bytes, start, end, last, output);
    return output.bytes.subarray(0, length);
  }

  close(): void {
    const { engine } = this;
    if (engine === null) return;
    this.engine = null;
    this.supply.takeBack(engine);
  }
}

/** The compressors of one process. */
export class CompressorSupply implements Compressors {
  /** How many are open. */
  opened = 0;
  private readonly openMax: number;
  private readonly keptMax: number;
  /** What comes out of every one of them. It grows to what one write brings. */
  private readonly output: Scratch;
  /** To be used again; the oldest first. */
  private readonly kept: Engine[] = [];

  /** outputBytes = what one write is expected to bring at most; more than 6 (zlib repeats a flush that just fits). */
  constructor(openMax = compressorsMax, keptMax = compressorsKeptMax, outputBytes = 64 * 1024) {
    this.openMax = openMax;
    this.keptMax = keptMax;
    this.output = new Scratch(outputBytes);
  }

  open(coding: Coding, level: number): ByteCompressor | null {
    if (this.opened >= this.openMax) return null;
    const engine = this.reuse(coding, level) ?? new Engine(coding, level);
    this.opened++;
    return new Compressor(this, this.output, engine);
  }

  private reuse(coding: Coding, level: number): Engine | null {
    const index = this.kept.findLastIndex((each) => each.coding === coding && each.level === level);
    if (index < 0) return null;
    const engine = this.kept.splice(index, 1)[0]!;
    engine.reset();
    return engine;
  }

  /** For compressors that close. */
  takeBack(engine: Engine): void {
    this.opened--;
    if (engine.coding !== "gzip" || engine.trouble !== "" || this.keptMax === 0) {
      engine.free();
      return;
    }
    const { kept } = this;
    kept.push(engine);
    if (kept.length > this.keptMax) kept.shift()!.free();
  }
}
