// What endpoints are told of the client: made for strangers, kept and appended to for trusted proxies.

import { describe, expect, test } from "bun:test";
import { Scratch } from "../base/bytes.ts";
import { parseCidr } from "../base/ip.ts";
import { addForwarded, clientAddress, requestIdText, sentRequestId } from "./forwarded.ts";
import { RecordingStream, requestHead, sentHead } from "./test-kit.ts";

const id = Uint32Array.of(0x01234567, 0x89abcdef, 0, 0xffffffff);
const idText = "0123456789abcdef00000000ffffffff";
const nobody = { scheme: "http", trustedProxies: [] } as const;
const tens = { scheme: "http", trustedProxies: [parseCidr("10.0.0.0/8")!] } as const;

function forward(text: string, peer: string, facts: typeof nobody | typeof tens): string {
  const head = requestHead(text);
  const added = new Scratch(64);
  addForwarded(added, new RecordingStream(peer), head, facts, id);
  return sentHead(head, added);
}

describe("forwarded fields", () => {
  test("a plain request gets them all behind its own fields", () => {
    expect(forward("GET /a HTTP/1.1\nHost: h.example\nAccept: */*", "192.0.2.9", nobody)).toBe(
      `GET /a HTTP/1.1\nHost: h.example\nAccept: */*\nX-Forwarded-For: 192.0.2.9\nX-Real-IP: 192.0.2.9\n` +
        `X-Forwarded-Proto: http\nX-Forwarded-Port: 8080\nX-Forwarded-Host: h.example\nX-Request-Id: ${idText}\n\n`,
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
    expect(forward("GET / HTTP/1.1\nHost: h\nX-Request-Id: abc-123", "192.0.2.9", nobody)).not.toContain(idText);
    const bad = forward("GET / HTTP/1.1\nHost: h\nX-Request-Id: a b", "192.0.2.9", nobody);
    expect(bad).toContain(`X-Request-Id: ${idText}`);
    expect(bad).not.toContain("a b");
    const two = forward("GET / HTTP/1.1\nHost: h\nX-Request-Id: one\nX-Request-Id: two", "192.0.2.9", nobody);
    expect(two).toContain("one");
    expect(two).not.toContain("two");
    expect(forward(`GET / HTTP/1.1\nHost: h\nX-Request-Id: ${"a".repeat(129)}`, "1.2.3.4", nobody)).toContain(idText);
    expect(forward(`GET / HTTP/1.1\nHost: h\nX-Request-Id: ${"a".repeat(128)}`, "1.2.3.4", nobody)).not.toContain(
      idText,
    );
  });

  test("a request id that Connection names as hop-by-hop is replaced", () => {
    const sent = forward("GET / HTTP/1.1\nHost: h\nX-Request-Id: mine\nConnection: X-Request-Id", "192.0.2.9", nobody);
    expect(sent).toContain(idText);
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

  test("HTTP/1.0 without Host gets no X-Forwarded-Host", () => {
    expect(forward("GET / HTTP/1.0", "192.0.2.9", nobody)).not.toContain("X-Forwarded-Host");
  });
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
