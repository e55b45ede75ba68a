// Lines of the access log in every format: fields, escapes, the bound on their length.

import { describe, expect, test } from "bun:test";
import { latin1Text } from "../base/bytes.ts";
import { failure, FailureCause, Phase, Side } from "../base/failure.ts";
import { logLineBytesMax } from "../base/limits.ts";
import type { Clock } from "../base/ports.ts";
import { parseLogTemplate } from "../model/log-fields.ts";
import { latin1 } from "../wire/h1/tables.ts";
import { AccessLog } from "./access-log.ts";
import type { Exchange } from "./exchange.ts";
import { RecordingStream, requestHead } from "./test-kit.ts";

const clock: Clock = {
  nowMs: () => 1250.5,
  cachedMs: 1250.5,
  wallMs: () => Date.UTC(2026, 10, 22, 3, 4, 5, 67),
};

/** A finished exchange, as far as the log looks at one. */
function finished(head: string, over: Partial<Record<keyof Exchange, unknown>> = {}, attempts: object = {}): Exchange {
  const parsed = requestHead(head);
  return {
    client: Object.assign(new RecordingStream("192.0.2.7"), { bytesOut: 1500 }),
    clientBytesOutBefore: 500,
    headAgain: () => parsed,
    startMs: 1000,
    answeredMs: 1200.25,
    status: 200,
    requestBodyBytes: 10,
    tunnelBytesSent: 0,
    attempts: { pickedMs: 1010, connectedMs: 1030, count: 2, endpointId: "a", pool: { name: "app" }, ...attempts },
    failure: 0,
    requestIdText: () => "req-1",
    listener: { name: "web", trustedProxies: [], scheme: "http" },
    route: { name: "shop" },
    hooked: null,
    ...over,
  } as unknown as Exchange;
}

function line(format: "json" | "combined" | "template", template: string, x: Exchange): string {
  let written = "";
  const sink = {
    append: (bytes: Uint8Array, start: number, end: number) => void (written += latin1Text(bytes, start, end)),
  };
  new AccessLog({ format, template, file: "-" }, sink, clock).write(x);
  return written;
}

describe("access log", () => {
  const plain = "GET /a?b=1 HTTP/1.1\nHost: h.example\nUser-Agent: t/1\nReferer: http://r/";

  test("json", () => {
    const text = line("json", "", finished(plain));
    expect(text.endsWith("}\n")).toBe(true);
    expect(JSON.parse(text)).toEqual({
      time: "2026-11-22T03:04:05.067Z",
      client: "192.0.2.7",
      method: "GET",
      host: "h.example",
      target: "/a?b=1",
      protocol: "HTTP/1.1",
      status: 200,
      bytesReceived: plain.length + 3 + 4 + 10,
      bytesSent: 1000,
      durationMs: 250.5,
      queueMs: 10,
      connectMs: 20,
      responseMs: 170.25,
      listener: "web",
      route: "shop",
      pool: "app",
      endpoint: "a",
      attempts: 2,
      termination: "--",
      cause: "none",
      requestId: "req-1",
      userAgent: "t/1",
      referer: "http://r/",
    });
  });

  test("combined, as Apache and nginx write it", () => {
    expect(line("combined", "", finished(plain))).toBe(
      '192.0.2.7 - - [22/Nov/2026:03:04:05 +0000] "GET /a?b=1 HTTP/1.1" 200 1000 "http://r/" "t/1"\n',
    );
    expect(line("combined", "", finished("GET / HTTP/1.0"))).toContain('"-" "-"\n');
  });

  test("a template", () => {
    const failed = failure(Side.Endpoint, Phase.ResponseHead, FailureCause.Timeout);
    const text = line(
      "template",
      "{peer} {termination} {cause} {pool}/{endpoint} é",
      finished(plain, { failure: failed }),
    );
    expect(text).toBe(`192.0.2.7 sH timeout app/a ${latin1Text(new TextEncoder().encode("é"), 0, 2)}\n`);
  });

  test("nobody can break the line or the JSON", () => {
    const nasty = 'GET /"\\%0a HTTP/1.1\nHost: h\nUser-Agent: a"b\\c\u00e9\t{status}';
    const parsed = JSON.parse(line("json", "", finished(nasty))) as Record<string, string>;
    expect(parsed["target"]).toBe('/"\\%0a');
    expect(parsed["userAgent"]).toBe('a"b\\c\u00e9\t{status}');
    expect(line("combined", "", finished(nasty))).toContain('"a\\x22b\\x5cc\\xe9\\x09{status}"');
  });

  test("a line never exceeds its limit", () => {
    const request = `GET /${'"'.repeat(20000)} HTTP/1.1`;
    const host = `Host: ${"h".repeat(3000)}`;
    const long = `${request}\n${host}\nUser-Agent: ${'"'.repeat(9000)}\nReferer: ${"r".repeat(9000)}`;
    for (const format of ["json", "combined"] as const) {
      const text = line(format, "", finished(long));
      expect(text.length).toBeLessThanOrEqual(logLineBytesMax);
      expect(text.endsWith("\n")).toBe(true);
      if (format === "json") JSON.parse(text);
    }
    expect(line("template", "{target}{target}{target} end", finished(long))).toEndWith(" end\n");
    const text = line("template", "{target}".repeat(12), finished(long));
    expect(text.length).toBe(logLineBytesMax);
  });

  test("a line in JSON is whole, however long everything in it is", () => {
    const name = "n".repeat(300);
    const method = "M".repeat(3000);
    const fields = `Host: ${"h".repeat(3000)}\nUser-Agent: ${"\u00e9".repeat(900)}\nReferer: ${"r".repeat(900)}`;
    const long = `${method} /${'"'.repeat(9000)} HTTP/1.1\n${fields}`;
    const listener = { name, trustedProxies: [], scheme: "http" };
    const ids = { endpointId: name, pool: { name }, requestIdText: () => "i".repeat(128) };
    const text = line("json", "", finished(long, { listener, route: { name }, requestIdText: ids.requestIdText }, ids));
    expect(text.length).toBeLessThanOrEqual(logLineBytesMax);
    expect(JSON.parse(text)).toMatchObject({
      status: 200,
      requestId: "i".repeat(100),
      endpoint: "n".repeat(100),
      route: "n".repeat(100),
    });
  });

  test("a request that no route takes has no route", () => {
    const text = line("json", "", finished(plain, { route: null, status: 404 }, { pool: null, endpointId: "" }));
    expect(JSON.parse(text)).toMatchObject({ route: "", pool: "", status: 404 });
    expect(line("template", "{listener}/{route}", finished(plain, { route: null }))).toBe("web/-\n");
  });

  test("unknown placeholders are named", () => {
    expect(parseLogTemplate("{client} {nope} x {status").unknown).toEqual(["nope"]);
  });

  test("no exchange, no request: dashes", () => {
    let written = "";
    const sink = {
      append: (bytes: Uint8Array, start: number, end: number) => void (written += latin1Text(bytes, start, end)),
    };
    const log = new AccessLog({ format: "combined", template: "", file: "-" }, sink, clock);
    const refused = failure(Side.Client, Phase.RequestHead, FailureCause.Protocol);
    log.writeRefused({ name: "web" } as never, new RecordingStream("192.0.2.7"), 400, refused);
    expect(written).toBe('192.0.2.7 - - [22/Nov/2026:03:04:05 +0000] "-" 400 0 "-" "-"\n');
  });

  test("fields of hooks come last, as many as the line has room for", () => {
    const logFields = [
      ["user", 'a"é\n'],
      ["ms", 1.5],
      ["cached", false],
      ["empty", ""],
    ] as const;
    const hooked = { logFields };
    const text = line("json", "", finished(plain, { hooked }));
    const asUtf8 = Buffer.from(text, "latin1").toString();
    expect(JSON.parse(asUtf8)).toMatchObject({
      referer: "http://r/",
      user: 'a"é\n',
      ms: 1.5,
      cached: false,
      empty: "",
    });
    expect(line("template", "{status}", finished(plain, { hooked }))).toBe(
      '200 user="a\\x22\\xc3\\xa9\\x0a" ms=1.5 cached=false empty=""\n',
    );
    expect(line("template", "{status}", finished(plain, { hooked: { logFields: null } }))).toBe("200\n");
    const many = Array.from({ length: 32 }, (_, i) => [`field${i}`, "x".repeat(390)] as const);
    const long = line("json", "", finished(plain, { hooked: { logFields: many } }));
    expect(long.length).toBeLessThanOrEqual(logLineBytesMax);
    const fields = Object.keys(JSON.parse(long) as object).filter((name) => name.startsWith("field"));
    expect(fields.length).toBeGreaterThan(5);
    expect(fields.length).toBeLessThan(32);
  });
});

test("latin1 text survives", () => {
  expect(latin1Text(latin1("\u00ff\u0000a"), 0, 3)).toBe("\u00ff\u0000a");
});
