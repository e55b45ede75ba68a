// What endpoints are told of the client: made for strangers, kept and appended to for trusted proxies.

import { describe, expect, test } from "bun:test";
import { Scratch } from "../base/bytes.ts";
import { parseCidr } from "../base/ip.ts";
import {
  addForwarded,
  clientAddress,
  clientScheme,
  type ForwardedMode,
  requestIdText,
  sentRequestId,
} from "./forwarded.ts";
import { RecordingStream, requestHead, sentHead } from "./test-kit.ts";

const id = Uint32Array.of(0x01234567, 0x89abcdef, 0, 0xffffffff);
const idText = "0123456789abcdef00000000ffffffff";
const ownId = `X-Request-Id: ${idText}`;
const nobody = { scheme: "http", trustedProxies: [] } as const;
const tens = { scheme: "http", trustedProxies: [parseCidr("10.0.0.0/8")!] } as const;

function forward(text: string, peer: string, facts: typeof nobody | typeof tens, mode?: ForwardedMode): string {
  const head = requestHead(text);
  const added = new Scratch(64);
  addForwarded(added, new RecordingStream(peer), head, facts, id, mode);
  return sentHead(head, added);
}

describe("forwarded fields", () => {
  test("a plain request gets them all behind its own fields", () => {
    expect(forward("GET /a HTTP/1.1\nHost: h.example\nAccept: */*", "192.0.2.9", nobody)).toBe(
      `GET /a HTTP/1.1\nHost: h.example\nAccept: */*\nX-Forwarded-For: 192.0.2.9\nX-Real-IP: 192.0.2.9\n` +
        `X-Forwarded-Proto: http\nX-Forwarded-Port: 8080\nX-Forwarded-Host: h.example\n` +
        `traceparent: 00-${idText}-3d9fb56f4da77f7e-01\nX-Request-Id: ${idText}\n\n`,
    );
  });

  test("claims of an untrusted client are dropped, in any case and number", () => {
    const sent = forward(
      "GET / HTTP/1.1\nHost: h\nx-forwarded-for: 1.1.1.1\nX-FORWARDED-FOR: 2.2.2.2\nX-Forwarded-Proto: https\n" +
        "X-Forwarded-Host: evil\nX-Forwarded-Port: 1\nX-Real-IP: 3.3.3.3\n" +
        "Forwarded: for=4.4.4.4\nForwarded: for=5.5.5.5",
      "192.0.2.9",
      nobody,
    );
    expect(sent).not.toMatch(/1\.1\.1\.1|2\.2\.2\.2|https|evil|3\.3\.3\.3|4\.4\.4\.4|5\.5\.5\.5/);
    expect(sent.match(/x-forwarded-for/gi)?.length).toBe(1);
  });

  test("a trusted proxy's claims are kept and its own address appended", () => {
    const sent = forward(
      "GET / HTTP/1.1\nHost: h\nX-Forwarded-For: 198.51.100.7\nX-Forwarded-For: 10.1.1.1\n" +
        "X-Forwarded-Proto: https\nX-Forwarded-Host: a.example",
      "10.2.2.2",
      tens,
    );
    expect(sent).toContain("\nX-Forwarded-For: 198.51.100.7, 10.1.1.1, 10.2.2.2\n");
    expect(sent).toContain("\nX-Forwarded-Proto: https\n");
    expect(sent).toContain("\nX-Forwarded-Host: a.example\n");
    expect(sent).toContain("\nX-Real-IP: 198.51.100.7\n");
    expect(sent).toContain("\nX-Forwarded-Port: 8080\n");
    expect(sent.match(/x-forwarded-for/gi)?.length).toBe(1);
  });

  test("the same claims from beside the trusted block are dropped", () => {
    const sent = forward("GET / HTTP/1.1\nHost: h\nX-Forwarded-For: 198.51.100.7", "11.0.0.1", tens);
    expect(sent).toContain("\nX-Forwarded-For: 11.0.0.1\n");
    expect(sent).not.toContain("198.51.100.7");
  });

  test("a well-formed request id is kept, another replaced, a second one dropped", () => {
    expect(forward("GET / HTTP/1.1\nHost: h\nX-Request-Id: abc-123", "192.0.2.9", nobody)).not.toContain(ownId);
    const bad = forward("GET / HTTP/1.1\nHost: h\nX-Request-Id: a b", "192.0.2.9", nobody);
    expect(bad).toContain(ownId);
    expect(bad).not.toContain("a b");
    const two = forward("GET / HTTP/1.1\nHost: h\nX-Request-Id: one\nX-Request-Id: two", "192.0.2.9", nobody);
    expect(two).toContain("one");
    expect(two).not.toContain("two");
    expect(forward(`GET / HTTP/1.1\nHost: h\nX-Request-Id: ${"a".repeat(129)}`, "1.2.3.4", nobody)).toContain(ownId);
    expect(forward(`GET / HTTP/1.1\nHost: h\nX-Request-Id: ${"a".repeat(128)}`, "1.2.3.4", nobody)).not.toContain(
      ownId,
    );
  });

  test("a request id that Connection names as hop-by-hop is replaced", () => {
    const sent = forward("GET / HTTP/1.1\nHost: h\nX-Request-Id: mine\nConnection: X-Request-Id", "192.0.2.9", nobody);
    expect(sent).toContain(ownId);
    expect(sent).not.toContain("mine");
  });

  test("nobody takes our word away by naming it in Connection", () => {
    const fields = "X-Forwarded-Proto: https\nX-Real-IP: 1.1.1.1\nX-Forwarded-For: 198.51.100.7";
    const names = "X-Real-IP, x-forwarded-proto, X-Forwarded-For, X-Forwarded-Port, X-Forwarded-Host";
    for (const peer of ["10.2.2.2", "192.0.2.9"]) {
      const sent = forward(`GET / HTTP/1.1\nHost: h\n${fields}\nConnection: ${names}`, peer, tens);
      expect(sent).toContain("\nX-Forwarded-Proto: http\n");
      expect(sent).toContain(`\nX-Real-IP: ${peer === "10.2.2.2" ? "198.51.100.7" : peer}\n`);
      for (const name of names.split(", ")) expect(sent.match(new RegExp(`^${name}:`, "gim"))?.length).toBe(1);
    }
  });

  test("spellings with underscores are dropped, whoever sends them", () => {
    const fields = "X_Forwarded_For: 6.6.6.6\nx-real_ip: 6.6.6.6\nX_REQUEST_ID: six\nX_Other: stays";
    for (const peer of ["10.2.2.2", "192.0.2.9"]) {
      const sent = forward(`GET / HTTP/1.1\nHost: h\n${fields}`, peer, tens);
      expect(sent).not.toMatch(/6\.6\.6\.6|six/);
      expect(sent).toContain("\nX_Other: stays\n");
    }
  });

  test("fields of that kind that are nobody's own are a trusted proxy's to say; with underscores, nobody's", () => {
    const text =
      "GET / HTTP/1.1\nHost: h\nX-Forwarded-Prefix: /p\nx-forwarded-ssl: on\nX_Forwarded-Server: s\n" +
      "X-Forwarded-Client_Cert: c\nX-Forwarded: kept\nX-Forwarding-Y: kept";
    for (const facts of [nobody, tens]) {
      const sent = forward(text, "192.0.2.9", facts);
      expect(sent).not.toMatch(/prefix|ssl|server|cert/i);
      expect(sent).toContain("\nX-Forwarded: kept\nX-Forwarding-Y: kept\n");
    }
    const trusted = forward(text, "10.0.0.1", tens);
    expect(trusted).toContain("\nX-Forwarded-Prefix: /p\nx-forwarded-ssl: on\nX-Forwarded: kept\n");
    expect(trusted).not.toMatch(/server|cert/i);
    expect(forward(text, "192.0.2.9", nobody, "preserve")).toContain("\nX-Forwarded-Prefix: /p\nx-forwarded-ssl: on\n");
  });

  test("HTTP/1.0 without Host gets no X-Forwarded-Host", () => {
    expect(forward("GET / HTTP/1.0", "192.0.2.9", nobody)).not.toContain("X-Forwarded-Host");
  });
});

describe("modes", () => {
  const claims =
    "X-Forwarded-For: 1.1.1.1\nx-forwarded-for: 2.2.2.2\nX-Forwarded-Proto: a\nX-FORWARDED-PROTO: b\nX-Real-IP: 3\n" +
    "X-Forwarded-Prefix: /p\nForwarded: for=4";
  const request =
    `GET / HTTP/1.1\nHost: h\n${claims}\nX_Forwarded_For: 6\nX_Forwarded_Ssl: on\n` +
    "X-Request-Id: mine\nX-Forward: f";
  const trace = `traceparent: 00-${idText}-3d9fb56f4da77f7e-01`;

  test.each(["10.2.2.2", "192.0.2.9"])("preserve passes on what came, from %s, and adds nothing", (peer) => {
    expect(forward(request, peer, tens, "preserve")).toBe(
      `GET / HTTP/1.1\nHost: h\n${claims}\nX-Request-Id: mine\nX-Forward: f\n${trace}\n\n`,
    );
    expect(forward("GET / HTTP/1.1\nHost: h", peer, tens, "preserve")).toBe(
      `GET / HTTP/1.1\nHost: h\n${trace}\n${ownId}\n\n`,
    );
  });
  test.each(["10.2.2.2", "192.0.2.9"])("remove lets nothing of it through, from %s, and adds nothing", (peer) => {
    expect(forward(request, peer, tens, "remove")).toBe(
      `GET / HTTP/1.1\nHost: h\nX-Request-Id: mine\nX-Forward: f\n${trace}\n\n`,
    );
  });
  test("append is what there is without a mode", () => {
    for (const peer of ["10.2.2.2", "192.0.2.9"]) {
      expect(forward(request, peer, tens, "append")).toBe(forward(request, peer, tens));
    }
  });
});

test("the client's scheme is ours, or what a trusted proxy says of it", () => {
  const scheme = (claim: string, peer: string): string =>
    clientScheme(new RecordingStream(peer), requestHead(`GET / HTTP/1.1\nHost: h${claim}`), tens);
  expect(scheme("\nX-Forwarded-Proto: HTTPS", "10.0.0.1")).toBe("https");
  expect(scheme("\nX-Forwarded-Proto: https", "192.0.2.1")).toBe("http");
  expect(scheme("\nX-Forwarded-Proto: ftp", "10.0.0.1")).toBe("http");
  expect(scheme("", "10.0.0.1")).toBe("http");
  const secure = { scheme: "https", trustedProxies: tens.trustedProxies } as const;
  const plain = requestHead("GET / HTTP/1.1\nHost: h\nX-Forwarded-Proto: http");
  expect(clientScheme(new RecordingStream("10.0.0.1"), plain, secure)).toBe("http");
  expect(clientScheme(new RecordingStream("192.0.2.1"), plain, secure)).toBe("https");
});

describe("client address", () => {
  const seen = (chain: string, peer: string): string =>
    clientAddress(
      new RecordingStream(peer),
      requestHead(`GET / HTTP/1.1\nHost: h${chain === "" ? "" : `\nX-Forwarded-For: ${chain}`}`),
      tens,
    );
  test("is the peer when it is not trusted", () => expect(seen("1.2.3.4", "192.0.2.1")).toBe("192.0.2.1"));
  test("is the last address that is no trusted proxy", () =>
    expect(seen("6.6.6.6, 1.2.3.4, 10.0.0.5", "10.0.0.1")).toBe("1.2.3.4"));
  test("is the first of the chain when all are trusted", () =>
    expect(seen("10.0.0.9, 10.0.0.5", "10.0.0.1")).toBe("10.0.0.9"));
  test("stops at what is no address", () => expect(seen("1.2.3.4, nonsense, 10.0.0.5", "10.0.0.1")).toBe("10.0.0.5"));
  test("is the peer without the field", () => expect(seen("", "10.0.0.1")).toBe("10.0.0.1"));
});

test("request id texts", () => {
  expect(requestIdText(id)).toBe(idText);
  expect(sentRequestId(requestHead("GET / HTTP/1.1\nHost: h\nX-Request-Id: q/1"))).toBe("q/1");
  expect(sentRequestId(requestHead("GET / HTTP/1.1\nHost: h"))).toBe("");
});
