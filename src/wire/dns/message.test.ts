// DNS messages: what is asked, what is read, and what is refused.

import { describe, expect, test } from "bun:test";
import { decodeResponse, encodeQuery, findRecords, RecordType, ResponseCode } from "./message.ts";
import { readQuestion, type WrittenRecord, writeResponse } from "./test-kit.ts";

const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text.replace(/\s/g, ""), "hex"));

function decode(answers: readonly WrittenRecord[], more: object = {}): NonNullable<ReturnType<typeof decodeResponse>> {
  const bytes = writeResponse({ id: 7, name: "www.test", type: RecordType.A, answers, ...more });
  return decodeResponse(bytes)!;
}

describe("questions", () => {
  test("are recursive, in class IN, with and without EDNS", () => {
    const question = { name: "ab.c", type: RecordType.AAAA } as const;
    expect(encodeQuery(0x1234, question, 0)).toEqual(hex("1234 0100 0001 0000 0000 0000  02 6162 01 63 00  001c 0001"));
    expect(encodeQuery(0x1234, question, 1232)).toEqual(
      hex("1234 0100 0001 0000 0000 0001  02 6162 01 63 00  001c 0001  00 0029 04d0 00000000 0000"),
    );
    const query = Buffer.from(encodeQuery(9, { name: "_http._tcp.x", type: RecordType.SRV }, 1232)!);
    expect(readQuestion(query)).toEqual({ id: 9, name: "_http._tcp.x", type: 33, udpBytes: 1232 });
  });

  test("names that cannot be asked for are refused: empty and long labels, long names, odd bytes", () => {
    const ask = (name: string): Uint8Array | null => encodeQuery(1, { name, type: RecordType.A }, 0);
    expect(ask(`${"a".repeat(63)}.b`)).not.toBeNull();
    expect(ask("a.b.")).toEqual(ask("a.b"));
    expect(ask(Array.from({ length: 127 }, () => "a").join("."))).not.toBeNull(); // 255 bytes
    for (const name of [`${"a".repeat(64)}.b`, "a..b", ".a", "ä.b", "a b", "a\\046b", `${"a.".repeat(127)}a`]) {
      expect([name, ask(name)]).toEqual([name, null]);
    }
  });
});

describe("responses", () => {
  test("records of the known types are read, others passed over", () => {
    const response = decode(
      [
        { name: "www.test", ttl: 60, cname: "real.test" },
        { name: "real.test", ttl: 30, a: "10.0.0.1" },
        { name: "real.test", ttl: 30, txt: "whatever" },
        { name: "real.test", ttl: 90, aaaa: "2001:db8::7" },
      ],
      { additional: [{ name: "Srv.Test", ttl: 5, srv: [1, 2, 3, "www.test"] }] },
    );
    expect(response).toEqual({
      id: 7,
      code: ResponseCode.NoError,
      truncated: false,
      question: { name: "www.test", type: RecordType.A },
      answers: [
        { type: 5, name: "www.test", ttl: 60, target: "real.test" },
        { type: 1, name: "real.test", ttl: 30, address: "10.0.0.1" },
        { type: 28, name: "real.test", ttl: 90, address: "2001:db8::7" },
      ],
      additional: [{ type: 33, name: "srv.test", ttl: 5, priority: 1, weight: 2, port: 3, target: "www.test" }],
    });
  });

  test("code, truncation and a root target are told", () => {
    expect(decode([], { code: ResponseCode.NoSuchName }).code).toBe(ResponseCode.NoSuchName);
    expect(decode([], { truncated: true }).truncated).toBe(true);
    const [record] = decode([{ name: "www.test", ttl: 1, srv: [0, 0, 0, ""] }]).answers;
    expect(record).toMatchObject({ target: "" });
  });

  test("a TTL with the highest bit set is none (RFC 2181 8)", () => {
    const ttls = decode([
      { name: "www.test", ttl: 0x8000_0000, a: "10.0.0.1" },
      { name: "www.test", ttl: 0x7fff_ffff, a: "10.0.0.2" },
    ]).answers.map(({ ttl }) => ttl);
    expect(ttls).toEqual([0, 0x7fff_ffff]);
  });

  test("names are lower case; bytes that are no part of a host name are written out", () => {
    const bytes = hex("0001 8180 0001 0000 0000 0000  04 41 2e 5c 20  00 0001 0001");
    expect(decodeResponse(bytes)!.question!.name).toBe("a\\046\\092\\032");
  });

  test("what is cut off within a record is refused, unless it says that it is cut off", () => {
    const whole = writeResponse({
      id: 7,
      name: "www.test",
      type: 1,
      answers: [
        { name: "www.test", ttl: 1, a: "10.0.0.1" },
        { name: "www.test", ttl: 1, a: "10.0.0.2" },
      ],
    });
    for (let end = 0; end < whole.length; end++) expect(decodeResponse(whole.subarray(0, end))).toBeNull();
    const cut = whole.slice(0, whole.length - 3);
    cut[2]! |= 2;
    expect(decodeResponse(cut)).toMatchObject({ truncated: true, answers: [{ address: "10.0.0.1" }] });
  });

  test("queries, other operations, loops and reserved labels are refused", () => {
    const header = "0001 8180 0001 0000 0000 0000";
    for (const [what, bytes] of [
      ["a query", "0001 0100 0000 0000 0000 0000"],
      ["a notify", "0001 a180 0000 0000 0000 0000"],
      ["two questions", "0001 8180 0002 0000 0000 0000 00 0001 0001 00 0001 0001"],
      ["a pointer to itself", `${header} c00c 0001 0001`],
      ["a pointer forward", `${header} c00e 0001 0001 00`],
      ["two that lead back and forth", `${header} 01 61 c00e c00c 0001 0001`],
      ["half a pointer", `${header} c0`],
      ["a reserved label", `${header} 41 61 00 0001 0001`],
      ["a label beyond the end", `${header} 05 61`],
    ] as const) {
      expect([what, decodeResponse(hex(bytes))]).toEqual([what, null]);
    }
  });

  test("data that does not fill its length is refused", () => {
    const bytes = writeResponse({ id: 1, name: "a", type: 1, answers: [{ name: "a", ttl: 1, a: "10.0.0.1" }] });
    bytes[bytes.length - 5] = 3;
    expect(decodeResponse(bytes)).toBeNull();
  });
});

describe("finding", () => {
  const records = decode([
    { name: "www.test", ttl: 60, cname: "a.test" },
    { name: "a.test", ttl: 20, cname: "b.test" },
    { name: "b.test", ttl: 40, a: "10.0.0.1" },
    { name: "b.test", ttl: 30, a: "10.0.0.2" },
    { name: "loop.test", ttl: 1, cname: "loop.test" },
    { name: "end.test", ttl: 1, cname: "nowhere.test" },
  ]).answers;

  test("follows aliases; the shortest TTL on the way counts", () => {
    const found = findRecords(records, "www.test", RecordType.A);
    expect(found.records.map(({ address }) => address)).toEqual(["10.0.0.1", "10.0.0.2"]);
    expect(found.ttl).toBe(20);
    expect(findRecords(records, "b.test", RecordType.A).ttl).toBe(30);
  });

  test("ends with nothing where there is nothing, or a loop", () => {
    for (const name of ["other.test", "loop.test", "end.test"]) {
      expect(findRecords(records, name, RecordType.A)).toEqual({ records: [], ttl: null });
    }
    expect(findRecords(records, "www.test", RecordType.AAAA).records).toEqual([]);
  });
});
