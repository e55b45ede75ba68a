// Compressed responses between the real codecs, joined as an exchange joins them, over a kernel that takes as much as
// it likes: however the endpoint frames its body and whatever version the client speaks, the client can read all of it,
// also the part that has come when the rest has not.

import { expect, test } from "bun:test";
import { brotliDecompressSync, constants, gunzipSync, zstdDecompressSync } from "node:zlib";
import { Scratch } from "../base/bytes.ts";
import type { Rng } from "../base/ports.ts";
import { seededRng } from "../base/seeded-rng.ts";
import { Flow, type UpstreamSink } from "../codec/stream.ts";
import {
  ClientRig,
  clientTimeouts,
  nothing,
  requestHead as asked,
  type SeenRequest,
  ServerRig,
} from "../codec/test-kit.ts";
import { defaultCompress } from "../model/policy-defaults.ts";
import type { Coding } from "../model/route-config.ts";
import { CompressorSupply } from "../sys/compressors.ts";
import { decodeReference } from "../wire/h1/chunked-kit.ts";
import { latin1 } from "../wire/h1/tables.ts";
import type { BodyFilter } from "./body-filter.ts";
import { Compress } from "./compress.ts";
import { requestHead } from "./test-kit.ts";

const codings = ["gzip", "br", "zstd"] as const;

/** What can be read of a content that may not be whole. */
function decode(coding: Coding, bytes: Uint8Array): Buffer {
  if (coding === "gzip") return gunzipSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH });
  if (coding === "br") return brotliDecompressSync(bytes, { finishFlush: constants.BROTLI_OPERATION_FLUSH });
  return zstdDecompressSync(bytes, { finishFlush: constants.ZSTD_e_flush });
}

/** Sends the request to the endpoint and its response to the client. */
function join(request: SeenRequest, upstream: ClientRig, compress: Compress, accept: string): void {
  const { stream } = request;
  const { client } = upstream;
  const added = new Scratch(64);
  let filter: BodyFilter | null = null;
  const finish = (): void => {
    filter?.release();
    client.close();
    stream.done();
  };
  const sink: UpstreamSink = {
    onReady() {},
    onHead(head, last, more) {
      filter = compress.begin(requestHead(`GET / HTTP/1.1\nHost: a\n${accept}`), head, request.method, added);
      const flow = stream.sendHead(head, added, last, more);
      if (last) finish();
      else {
        if (filter === null) client.forward(stream);
        if (flow === Flow.Pause) client.pause();
      }
    },
    onData(bytes, start, end, last) {
      const flow =
        filter === null ? stream.sendData(bytes, start, end, last) : filter.write(bytes, start, end, last, stream);
      if (last) finish();
      else if (flow === Flow.Pause) client.pause();
    },
    onMoved() {},
    onTrailers(head) {
      if (filter === null) stream.sendTrailers(head);
      else filter.trailers(head, stream);
      finish();
    },
    onDrain() {},
    onReset(f) {
      filter?.release();
      stream.reset(f);
    },
  };
  stream.sink = {
    onHead() {},
    onData() {},
    onMoved() {},
    onTrailers() {},
    onDrain: () => client.resume(),
    onReset(f) {
      filter?.release();
      client.reset(f);
    },
  };
  client.assign(sink, clientTimeouts);
  client.sendHead(asked("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), nothing, true, false);
}

interface Script {
  readonly coding: Coding;
  readonly http10: boolean;
  readonly body: Buffer;
  /** The response as the endpoint sends it. */
  readonly response: string;
  readonly untilClose: boolean;
  readonly trailers: boolean;
}

function scriptOf(rng: Rng): Script {
  const length = rng.below(rng.below(4) === 0 ? 200_000 : 3000) + 1024;
  const body = Buffer.from(Array.from({ length }, () => (rng.below(5) === 0 ? rng.below(256) : 97)));
  const text = body.toString("latin1");
  const framing = rng.below(3);
  const trailers = framing === 1 && rng.below(2) === 0;
  let coded = text;
  if (framing === 1) {
    coded = "";
    for (let at = 0; at < length;) {
      const size = Math.min(length - at, 1 + rng.below(rng.below(2) === 0 ? 20_000 : 500));
      coded += `${size.toString(16)}\r\n${text.slice(at, at + size)}\r\n`;
      at += size;
    }
    coded += `0\r\n${trailers ? "X-Sum: 1\r\nDigest: x\r\n" : ""}\r\n`;
  }
  const framed = [`Content-Length: ${length}\r\n`, "Transfer-Encoding: chunked\r\n", ""][framing]!;
  return {
    coding: codings[rng.below(3)]!,
    http10: rng.below(3) === 0,
    body,
    response: `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n${framed}\r\n${coded}`,
    untilClose: framing === 2,
    trailers,
  };
}

const supply = new CompressorSupply();
const compress = new Compress(defaultCompress, supply);

/** The content as it was sent to the client; cut = it may lack its end. */
function contentOf(sent: string, script: Script, cut: boolean): Buffer {
  const end = sent.indexOf("\r\n\r\n");
  const head = sent.slice(0, end + 2);
  const bytes = latin1(sent.slice(end + 4));
  expect(head).toContain(`\r\nContent-Encoding: ${script.coding}\r\n`);
  expect(head).not.toContain("Content-Length");
  expect(head.includes("\r\nTransfer-Encoding: chunked\r\n")).toBe(!script.http10);
  if (script.http10) return Buffer.from(bytes);
  const decoded = decodeReference(cut ? Buffer.concat([bytes, latin1("0\r\n\r\n")]) : bytes);
  expect(decoded?.used).toBe(cut ? bytes.length + 5 : bytes.length);
  if (!cut) expect(decoded!.trailers).toBe(script.trailers ? "X-Sum: 1\r\n\r\n" : "");
  return Buffer.from(decoded!.data);
}

test("what the endpoint sent is what the client reads", () => {
  const seed = Math.floor(Math.random() * 2 ** 32);
  const rng = seededRng(seed);
  for (let round = 0; round < 40; round++) {
    const script = scriptOf(rng);
    const server = new ServerRig();
    server.connection.room = rng.below(100);
    const upstream = new ClientRig();
    upstream.client.onOpen();
    server.onNew = (request) => join(request, upstream, compress, `Accept-Encoding: ${script.coding}`);
    server.connection.receive(`GET / HTTP/1.${script.http10 ? 0 : 1}\r\nHost: a\r\n\r\n`);
    for (let at = 0; at < script.response.length;) {
      const size = 1 + rng.below(rng.below(3) === 0 ? 100_000 : 1000);
      upstream.connection.receive(script.response.slice(at, at + size));
      at += size;
    }
    if (script.untilClose) upstream.connection.receiveFin();
    let sent = "";
    for (let turn = 0; turn < 10_000 && (supply.opened > 0 || server.connection.accepted !== sent.length); turn++) {
      sent += server.connection.sent();
      server.connection.drain(rng.below(20_000));
      upstream.connection.pump();
    }
    server.connection.drain(1_000_000);
    sent += server.connection.sent();
    const content = decode(script.coding, contentOf(sent, script, false));
    expect([seed, round, content.equals(script.body)]).toEqual([seed, round, true]);
    expect([seed, round, supply.opened]).toEqual([seed, round, 0]);
    expect(server.connection.isOpen).toBe(!script.http10);
  }
});

test.each(codings)("%s: what has come can be read before the rest comes, and a failure lets go of all", (coding) => {
  for (const http10 of [false, true]) {
    const server = new ServerRig();
    const upstream = new ClientRig();
    upstream.client.onOpen();
    server.onNew = (request) => join(request, upstream, compress, `Accept-Encoding: ${coding}`);
    server.connection.receive(`GET / HTTP/1.${http10 ? 0 : 1}\r\nHost: a\r\n\r\n`);
    upstream.connection.receive("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5000\r\n\r\n<html>");
    const script = { ...scriptOf(seededRng(1)), coding, http10 };
    let sent = server.connection.sent();
    expect(decode(coding, contentOf(sent, script, true)).toString()).toBe("<html>");
    upstream.connection.receive("<body>");
    sent += server.connection.sent();
    expect(decode(coding, contentOf(sent, script, true)).toString()).toBe("<html><body>");
    expect(supply.opened).toBe(1);
    upstream.connection.break();
    expect([supply.opened, server.connection.ended]).toEqual([0, "abort"]);
  }
});

test("a client that goes away lets go of all", () => {
  const server = new ServerRig();
  const upstream = new ClientRig();
  upstream.client.onOpen();
  server.onNew = (request) => join(request, upstream, compress, "Accept-Encoding: gzip");
  server.connection.receive("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  upstream.connection.receive("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>");
  expect(supply.opened).toBe(1);
  server.connection.break();
  expect([supply.opened, upstream.connection.isOpen]).toEqual([0, false]);
});
