// What is compressed and what is not, what becomes of the fields, and that the client gets the body that was sent.

import { describe, expect, test } from "bun:test";
import { brotliDecompressSync, constants, gunzipSync, zstdDecompressSync } from "node:zlib";
import { latin1Text, Scratch } from "../base/bytes.ts";
import { seededRng } from "../base/seeded-rng.ts";
import { Flow, type ServerStream } from "../codec/stream.ts";
import { defaultCompress } from "../model/policy-defaults.ts";
import type { Coding, CompressConfig } from "../model/route-config.ts";
import { CompressorSupply } from "../sys/compressors.ts";
import { writeTrailers } from "../wire/h1/write.ts";
import { BODY_CHUNKED, BODY_UNTIL_CLOSE, Method } from "../wire/head.ts";
import type { BodyFilter } from "./body-filter.ts";
import { Compress } from "./compress.ts";
import { bench } from "./compress.bench.ts";
import { RecordingStream, requestHead, responseHead, sentResponse } from "./test-kit.ts";

const decoders: Readonly<Record<Coding, (bytes: Uint8Array) => Buffer>> = {
  gzip: gunzipSync,
  br: brotliDecompressSync,
  zstd: zstdDecompressSync,
};

interface Case {
  readonly config?: Partial<CompressConfig>;
  readonly accept?: string;
  /** Further request fields, each a line. */
  readonly request?: readonly string[];
  readonly method?: Method;
  readonly status?: number;
  readonly fields?: readonly string[];
  /** Lines of ours, as edits and CORS leave them. */
  readonly ours?: readonly string[];
  readonly supply?: CompressorSupply;
}

interface Begun {
  readonly filter: BodyFilter | null;
  readonly bodyLength: number;
  /** The head's fields as they are sent, in order, without the framing. */
  readonly fields: readonly string[];
}

const html = "Content-Type: text/html; charset=utf-8";

function begin(each: Case): Begun {
  const { accept = "gzip", method = Method.Get, status = 200 } = each;
  const accepted = accept === "" ? [] : [`Accept-Encoding: ${accept}`];
  const request = requestHead(["GET / HTTP/1.1", "Host: h", ...accepted, ...(each.request ?? [])].join("\n"));
  const response = responseHead([`HTTP/1.1 ${status} X`, ...(each.fields ?? [html])].join("\n"), method);
  const added = new Scratch(8);
  for (const line of each.ours ?? []) added.putText(`${line}\r\n`);
  const compress = new Compress({ ...defaultCompress, ...each.config }, each.supply ?? new CompressorSupply());
  const filter = compress.begin(request, response, method, added);
  const fields = sentResponse(response, added).trimEnd().split("\n").slice(1);
  return { filter, bodyLength: response.bodyLength, fields: fields.filter((line) => !/^transfer-enc/i.test(line)) };
}

/** The fields when it is compressed; null when not. */
function compressed(each: Case): readonly string[] | null {
  const begun = begin(each);
  begun.filter?.release();
  return begun.filter === null ? null : begun.fields;
}

const vary = "Vary: Accept-Encoding";
const gzipped = "Content-Encoding: gzip";

describe("a response that is compressed", () => {
  test("says so, has no length, and varies", () => {
    const fields = [html, "Content-Length: 5000", "X-A: 1"];
    const begun = begin({ fields });
    begun.filter!.release();
    expect(begun.bodyLength).toBe(BODY_CHUNKED);
    expect(begun.fields).toEqual([html, "X-A: 1", vary, gzipped]);
  });

  test.each<[string, readonly string[], readonly string[]]>([
    ["ranges", ["Accept-Ranges: bytes"], []],
    [
      "digests",
      ["Content-MD5: x", "Digest: y", "content-digest: z", "Repr-Digest: a", "Want-Digest: b"],
      ["Want-Digest: b"],
    ],
    ["identity", ["Content-Encoding: Identity"], []],
    ["Cache-Control", ["Cache-Control: public, max-age=1"], ["Cache-Control: public, max-age=1"]],
  ])("%s", (_, fields, left) => {
    expect(compressed({ fields: [html, ...fields] })).toEqual([html, ...left, vary, gzipped]);
  });

  test("a strong tag becomes a weak one, and what is no tag goes", () => {
    expect(compressed({ fields: ['etag: "a,b"', html] })).toEqual([html, vary, gzipped, 'ETag: W/"a,b"']);
    expect(compressed({ fields: ['Etag: W/"a"', html, 'ETag: "b"'] })).toEqual([html, vary, gzipped, 'ETag: W/"a"']);
    expect(compressed({ fields: ["ETag: abc", html] })).toEqual([html, vary, gzipped]);
    expect(compressed({ fields: ["ETag:", html] })).toEqual(["ETag:", html, vary, gzipped]);
  });

  test("lines of ours count as the endpoint's", () => {
    const ours = ['ETag: "a"', "x-b: 2", "Content-MD5: x", "Vary: Origin"];
    const fields = [html, "Content-MD5: x"];
    expect(compressed({ fields, ours })).toEqual([html, "x-b: 2", "Vary: Origin", vary, gzipped, 'ETag: W/"a"']);
    expect(compressed({ fields: ["X-A: 1"], ours: ["content-type:text/css"] })).not.toBeNull();
  });

  test("Vary is not said twice", () => {
    for (const line of ["Vary: Origin, accept-encoding", "vary: *", "Vary: Accept-Encoding,Cookie"]) {
      expect(compressed({ fields: [line, html] })).toEqual([line, html, gzipped]);
      expect(compressed({ ours: [line] })).toEqual([html, line, gzipped]);
    }
    const line = "Vary: X-Accept-Encoding, Accept-Encoding-X, Accept";
    expect(compressed({ fields: [line, html] })).toEqual([line, html, vary, gzipped]);
  });

  test("whatever tells the end of its body", () => {
    expect(begin({ fields: [html, "Transfer-Encoding: chunked"] }).bodyLength).toBe(BODY_CHUNKED);
    expect(responseHead(`HTTP/1.1 200 OK\n${html}`).bodyLength).toBe(BODY_UNTIL_CLOSE);
    expect(begin({}).bodyLength).toBe(BODY_CHUNKED);
  });

  test.each([200, 201, 203, 300, 400, 403, 404, 410, 422, 500, 503])("status %p", (status) => {
    expect(compressed({ status })).toEqual([html, vary, gzipped]);
  });

  test.each<[string, Coding]>([
    ["gzip, br, zstd", "zstd"],
    ["gzip, br", "br"],
    ["gzip, br;q=0.5", "gzip"],
  ])("for %p it is %p", (accept, coding) => {
    expect(compressed({ accept })).toContain(`Content-Encoding: ${coding}`);
  });
});

describe("left alone, and the same for every client", () => {
  test.each<[string, Case]>([
    ["a content coding", { fields: [html, "Content-Encoding: br"] }],
    ["a content coding of ours", { ours: ["content-encoding: gzip"] }],
    ["several codings", { fields: [html, "Content-Encoding: identity, gzip"] }],
    ["no-transform", { fields: [html, 'Cache-Control: private="x", No-Transform'] }],
    ["a range", { status: 206, fields: [html, "Content-Range: bytes 0-4999/9000", "Content-Length: 5000"] }],
    ["Content-Range alone", { fields: [html, "Content-Range: bytes 0-1/2"] }],
    ["no content", { status: 204 }],
    ["reset content", { status: 205 }],
    ["not modified", { status: 304 }],
    ["an early hint", { status: 103 }],
    ["switching protocols", { status: 101, fields: [html, "Connection: upgrade", "Upgrade: x"] }],
    ["too short", { fields: [html, "Content-Length: 1023"] }],
    ["nothing", { fields: [html, "Content-Length: 0"] }],
    ["no type", { fields: ["X-A: 1"] }],
    ["an empty type", { fields: ["Content-Type:"] }],
    ["two types", { fields: [html, html] }],
    ["a type too long", { fields: [`Content-Type: text/${"x".repeat(251)}`] }],
    ["a connection of its own", { method: Method.Connect }],
    ...[
      "image/png",
      "text",
      "texts/html",
      "application/jsonx",
      "application/octet-stream",
      "font/woff2",
      "x text/html",
    ].map((type): [string, Case] => [type, { fields: [`Content-Type: ${type}`] }]),
    ["events", { fields: ["Content-Type: text/event-stream"] }],
    ["events, in capitals", { fields: ["Content-Type: Text/Event-Stream;charset=utf-8"] }],
    ["gRPC", { fields: ["Content-Type: application/grpc+json"] }],
  ])("%s", (_, each) => {
    const begun = begin(each);
    expect(begun.filter).toBeNull();
    expect(begun.fields.join("\n")).not.toContain(vary);
    expect(begun.fields.join("\n")).not.toContain("Content-Encoding: gzip");
  });
});

describe("types", () => {
  test.each([
    "text/html",
    "TEXT/Plain",
    "application/json;charset=utf-8",
    "application/problem+json ; a=b",
    "image/svg+xml",
    `text/${"x".repeat(250)}`,
  ])("%s", (type) => {
    expect(compressed({ fields: [`Content-Type: ${type}`] })).not.toBeNull();
  });

  test("names in the configuration are in any case", () => {
    const config = { types: ["Application/X-*"] };
    expect(compressed({ config, fields: ["content-type: application/x-tar"] })).not.toBeNull();
    expect(compressed({ config })).toBeNull();
  });

  test("streams of messages only where they are named in full", () => {
    const fields = ["Content-Type: text/event-stream; x=y"];
    expect(compressed({ fields, config: { types: ["*/*", "text/event-*"] } })).toBeNull();
    expect(compressed({ fields, config: { types: ["text/event-stream"] } })).not.toBeNull();
    expect(compressed({ fields: ["Content-Type: application/grpc"], config: { types: ["application/*"] } })).toBeNull();
  });
});

describe("left alone for this client, which caches hear of", () => {
  test.each<[string, Case]>([
    ["it takes none", { accept: "" }],
    ["it takes others", { accept: "deflate" }],
    ["it wants none", { accept: "gzip;q=0, identity" }],
    ["it wants no change", { request: ["Cache-Control: no-cache, no-transform"] }],
    ["too many at once", { supply: new CompressorSupply(0) }],
  ])("%s", (_, each) => {
    const kept = [html, "Content-Length: 1024", 'ETag: "a"', "Accept-Ranges: bytes"];
    const begun = begin({ ...each, fields: kept });
    expect(begun.filter).toBeNull();
    expect(begun.bodyLength).toBe(1024);
    expect(begun.fields).toEqual([...kept, vary]);
  });
});

describe("HEAD says what GET would, and takes no compressor", () => {
  const supply = new CompressorSupply();
  const fields = [html, "Content-Length: 5000", 'ETag: "a"'];

  test("where it would be compressed", () => {
    const begun = begin({ method: Method.Head, supply, fields });
    expect(begun.filter).toBeNull();
    expect(supply.opened).toBe(0);
    expect(begun.bodyLength).toBe(0);
    expect(begun.fields).toEqual([html, vary, gzipped, 'ETag: W/"a"']);
  });

  test("where not", () => {
    const short = [html, "Content-Length: 500"];
    expect(begin({ method: Method.Head, supply, fields: short }).fields).toEqual(short);
    expect(begin({ method: Method.Head, supply, fields, accept: "" }).fields).toEqual([...fields, vary]);
  });
});

describe("304 names the content that the client holds", () => {
  const fields = ['ETag: "a"', "Date: x"];
  const weak = ["Date: x", 'ETag: W/"a"', vary];

  test.each<[string, readonly string[], readonly string[]]>([
    ["by the weak tag", ['If-None-Match: W/"a"'], weak],
    ["among others", ['If-None-Match: "x", W/"y"', 'If-None-Match: W/"b",W/"a"'], weak],
    ["by the strong tag", ['If-None-Match: "a"'], fields],
    ["another", ['If-None-Match: W/"ab", W/"b"'], fields],
    ["any", ["If-None-Match: *"], fields],
    ["by its date", ["If-Modified-Since: x"], fields],
  ])("%s", (_, request, sent) => {
    expect(begin({ status: 304, request, fields })).toEqual({ filter: null, bodyLength: 0, fields: sent });
  });

  test("a client that takes no coding holds none", () => {
    expect(begin({ status: 304, request: ['If-None-Match: W/"a"'], fields, accept: "" }).fields).toEqual(fields);
  });
});

function sample(length: number): Buffer {
  const rng = seededRng(length);
  return Buffer.from(Array.from({ length }, () => (rng.below(9) === 0 ? rng.below(256) : 97)));
}

function sentBytes(stream: RecordingStream): Buffer {
  return Buffer.from(stream.text, "latin1");
}

describe.each(["gzip", "br", "zstd"] as const)("%s", (coding) => {
  const supply = new CompressorSupply();
  const open = (): BodyFilter => begin({ accept: coding, supply }).filter!;

  test("the body that was sent, in any pieces", () => {
    const seed = Math.floor(Math.random() * 2 ** 32);
    const rng = seededRng(seed);
    for (let run = 0; run < 40; run++) {
      const body = sample(rng.below(run % 10 === 0 ? 300_000 : 2000));
      const stream = new RecordingStream("192.0.2.1");
      const filter = open();
      let at = 0;
      for (let last = false; !last;) {
        const end = Math.min(body.length, at + rng.below(rng.below(4) === 0 ? 100_000 : 500));
        last = end === body.length && rng.below(3) > 0;
        const lent = Buffer.from(body); // what is lent is used again behind the call
        expect(filter.write(lent, at, end, last, stream)).toBe(Flow.Go);
        lent.fill(0);
        at = end;
      }
      expect(stream.ended).toBe(true);
      expect([seed, decoders[coding](sentBytes(stream)).equals(body)]).toEqual([seed, true]);
      expect(supply.opened).toBe(0);
    }
  });

  test("every piece is sent at once, and in memory of its own", () => {
    const stream = new RecordingStream("192.0.2.1");
    const pieces: Uint8Array[] = [];
    stream.sendData = (bytes, start, end) => {
      pieces.push(bytes.subarray(start, end));
      return Flow.Go;
    };
    const filter = open();
    const finishFlush = {
      gzip: constants.Z_SYNC_FLUSH,
      br: constants.BROTLI_OPERATION_FLUSH,
      zstd: constants.ZSTD_e_flush,
    }[coding];
    const decode = coding === "gzip" ? gunzipSync : coding === "br" ? brotliDecompressSync : zstdDecompressSync;
    let text = "";
    for (let i = 0; i < 20; i++) {
      const piece = `data: event ${i}\n\n`;
      text += piece;
      filter.write(Buffer.from(piece), 0, piece.length, false, stream);
      expect(decode(Buffer.concat(pieces), { finishFlush }).toString()).toBe(text);
    }
    const before = pieces.length;
    filter.write(Buffer.from("x"), 1, 1, false, stream);
    expect(pieces.length).toBe(before);
    filter.release();
  });

  test("trailers follow the end, without digests of what it was", () => {
    const stream = new RecordingStream("192.0.2.1");
    const order: string[] = [];
    const sendData = stream.sendData.bind(stream);
    stream.sendData = (bytes, start, end, last) => {
      order.push(last ? "end" : "data");
      return sendData(bytes, start, end, last);
    };
    const client: ServerStream = stream;
    client.sendTrailers = (head) => {
      const out = new Scratch(16);
      writeTrailers(out, head);
      order.push(
        latin1Text(out.bytes, 0, out.length)
          .split("\r\n")
          .filter((line) => line.includes(":"))
          .join(),
      );
      return Flow.Pause;
    };
    const filter = open();
    const body = sample(5000);
    filter.write(body, 0, body.length, false, stream);
    const trailers = responseHead("HTTP/1.1 200 OK\nX-Time: 1\nContent-Digest: x\nRepr-Digest: y");
    trailers.start = trailers.startLineEnd + 2;
    expect(filter.trailers(trailers, stream)).toBe(Flow.Pause);
    expect(order).toEqual(["data", "data", "X-Time: 1"]);
    expect(decoders[coding](sentBytes(stream)).equals(body)).toBe(true);
    expect(supply.opened).toBe(0);
  });

  test("what the client says of the flow is handed on", () => {
    const stream = new RecordingStream("192.0.2.1");
    let flow: Flow = Flow.Pause;
    let trailers = 0;
    stream.sendData = () => flow;
    stream.sendTrailers = () => {
      trailers++;
      return Flow.Go;
    };
    const filter = open();
    expect(filter.write(sample(100), 0, 100, false, stream)).toBe(Flow.Pause);
    flow = Flow.Closed;
    expect(filter.write(sample(100), 0, 100, false, stream)).toBe(Flow.Closed);
    expect(filter.trailers(responseHead("HTTP/1.1 200 OK"), stream)).toBe(Flow.Closed);
    expect([trailers, supply.opened]).toEqual([0, 0]);
  });

  test("let go of in the middle, twice, and of no more effect", () => {
    const stream = new RecordingStream("192.0.2.1");
    const filter = open();
    filter.write(sample(70_000), 0, 70_000, false, stream);
    expect(supply.opened).toBe(1);
    filter.release();
    filter.release();
    expect(supply.opened).toBe(0);
    const { length } = stream.text;
    expect(filter.write(sample(100), 0, 100, true, stream)).toBe(Flow.Go);
    expect(filter.trailers(responseHead("HTTP/1.1 200 OK"), stream)).toBe(Flow.Go);
    expect([stream.text.length, stream.ended]).toEqual([length, false]);
  });
});

test("heads of any make: what is compressed says it right, and what is not stays as it was", () => {
  const seed = Math.floor(Math.random() * 2 ** 32);
  const rng = seededRng(seed);
  const names = ["ETag", "Vary", "Content-Type", "Content-Encoding", "Cache-Control", "Content-Range", "X-A", "Digest"];
  const values = [
    "",
    '"',
    '"a"',
    "W/",
    'W/"a"',
    "*",
    ",",
    "gzip",
    "identity",
    "text/html",
    "no-transform",
    "/",
    "a=b;c",
  ];
  const pick = (list: readonly string[]): string => list[rng.below(list.length)]!;
  const line = (): string => `${pick(names)}: ${pick(values)}${rng.below(4) === 0 ? `, ${pick(values)}` : ""}`;
  const lines = (): string[] => Array.from({ length: rng.below(5) }, line);
  const supply = new CompressorSupply(1);
  let count = 0;
  for (let run = 0; run < 3000; run++) {
    const given = { fields: [...lines(), html], ours: lines() };
    const { filter, fields } = begin({ ...given, supply });
    const before = [...given.fields, ...given.ours].join("\n");
    const about = `${seed} ${run}\n${before}\n\n${fields.join("\n")}`;
    if (filter === null) {
      const kept = fields.at(-1) === vary ? fields.slice(0, -1) : fields;
      if (kept.join("\n") !== before.trimEnd()) throw new Error(about);
      continue;
    }
    count++;
    filter.release();
    const codings = fields.filter((field) => /^content-encoding:/i.test(field));
    const isSound = codings.join() === gzipped && fields.some((field) => /^vary:.*(accept-encoding|\*)/i.test(field));
    const isStale = fields.some((field) => /^(etag: *"|digest:|content-length:)/i.test(field));
    if (!isSound || isStale || /^(cache-control:.*no-transform|content-range:)/im.test(before)) throw new Error(about);
  }
  expect(count).toBeGreaterThan(300);
  expect(supply.opened).toBe(0);
});

test("the bench runs", () => {
  for (const cost of Object.values(bench(20))) expect(cost).toBeGreaterThan(0);
});
