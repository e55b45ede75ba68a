// What compression costs a response: the decision, and per coding the work itself, at the default level.

import { Scratch } from "../base/bytes.ts";
import { defaultCompress } from "../model/policy-defaults.ts";
import type { Coding } from "../model/route-config.ts";
import { CompressorSupply } from "../sys/compressors.ts";
import { Method } from "../wire/head.ts";
import { Compress } from "./compress.ts";
import { RecordingStream, requestHead, responseHead } from "./test-kit.ts";

const supply = new CompressorSupply();
const compress = new Compress(defaultCompress, supply);
const added = new Scratch(1024);

const words = "GET /list HTTP/1.1\nHost: example.com\nUser-Agent: Mozilla/5.0\nAccept: */*\nCookie: a=b; c=d";
const askedBy = (accept: string): ReturnType<typeof requestHead> =>
  requestHead(`${words}\nAccept-Language: en\nAccept-Encoding: ${accept}\nConnection: keep-alive`);
const answered = (type: string): ReturnType<typeof responseHead> =>
  responseHead(`HTTP/1.1 200 OK\nDate: x\nServer: y\nContent-Type: ${type}\nETag: "abcdef"\nCache-Control: no-cache`);

const record = `{"id":12345,"name":"Some Name","tags":["a","b"],"url":"https://example.com/items/12345"},\n`;
const body = Buffer.from(Array.from({ length: 180 }, (_, i) => record.replaceAll("12345", `${i * 7919}`)).join(""));

function nanoseconds(iterations: number, work: () => void): number {
  const started = Bun.nanoseconds();
  for (let k = 0; k < iterations; k++) {
    added.length = 0;
    work();
  }
  return (Bun.nanoseconds() - started) / iterations;
}

/** The whole of it for a body of 16 KB. */
function whole(coding: Coding): () => void {
  const request = askedBy(coding);
  const stream = new RecordingStream("192.0.2.1");
  stream.sendData = () => 0;
  return () => {
    const filter = compress.begin(request, answered("application/json"), Method.Get, added)!;
    filter.write(body, 0, body.length, true, stream);
  };
}

/** Nanoseconds per response of each. */
export function bench(iterations: number): Readonly<Record<string, number>> {
  const png = answered("image/png");
  const json = answered("application/json");
  const all = askedBy("gzip, deflate, br, zstd");
  const plain = askedBy("identity");
  return {
    "no type for it": nanoseconds(iterations, () => compress.begin(all, png, Method.Get, added)),
    "no client for it": nanoseconds(iterations, () => compress.begin(plain, json, Method.Get, added)),
    "gzip, 16 KB": nanoseconds(iterations, whole("gzip")),
    "br, 16 KB": nanoseconds(iterations, whole("br")),
    "zstd, 16 KB": nanoseconds(iterations, whole("zstd")),
  };
}
