// Fuzzing of the DNS decoder: any bytes, whole and cut short. What is accepted has one meaning, and can be written and
// read again.

import type { FuzzTarget } from "../../../tools/fuzz.ts";
import { parseIp } from "../../base/ip.ts";
import { decodeResponse, type DnsRecord, encodeQuery, findRecords, RecordType } from "./message.ts";
import { writeResponse, type WrittenRecord } from "./test-kit.ts";

function must(condition: boolean, what: string): void {
  if (!condition) throw new Error(what);
}

const records: readonly WrittenRecord[] = [
  { name: "www.example.test", ttl: 60, cname: "real.example.test" },
  { name: "real.example.test", ttl: 30, a: "10.0.0.1" },
  { name: "real.example.test", ttl: 90, aaaa: "2001:db8::7" },
  { name: "real.example.test", ttl: 90, txt: "text" },
  { name: "_http._tcp.example.test", ttl: 5, srv: [1, 2, 80, "real.example.test"] },
  { name: "", ttl: 0xffff_ffff, srv: [0, 0, 0, ""] },
];

/** A record as the writer takes it; null for names that only exist escaped. */
function again(record: DnsRecord): WrittenRecord | null {
  const { name, ttl } = record;
  const text = `${name} ${"target" in record ? record.target : ""}`;
  if (text.includes("\\")) return null;
  switch (record.type) {
    case RecordType.A:
      return { name, ttl, a: record.address };
    case RecordType.AAAA:
      return { name, ttl, aaaa: record.address };
    case RecordType.CNAME:
      return { name, ttl, cname: record.target };
    case RecordType.SRV:
      return { name, ttl, srv: [record.priority, record.weight, record.port, record.target] };
  }
}

export const target: FuzzTarget = {
  name: "dns-response",
  seeds: [
    writeResponse({ id: 1, name: "www.example.test", type: 1, answers: records.slice(0, 4) }),
    writeResponse({
      id: 2,
      name: "_http._tcp.example.test",
      type: 33,
      answers: records.slice(4),
      additional: records.slice(1, 3),
    }),
    writeResponse({ id: 3, name: "none.test", type: 28, code: 3 }),
    writeResponse({ id: 4, name: "long.test", type: 1, truncated: true, answers: records.slice(1, 2) }),
  ],
  run(input) {
    for (const bytes of [input, input.subarray(0, input.length >> 1)]) {
      const response = decodeResponse(bytes);
      if (response === null) continue;
      const { answers, additional, question } = response;
      must(answers.length + additional.length <= bytes.length / 11, "more records than bytes");
      for (const record of [...answers, ...additional]) {
        must(record.ttl >= 0 && record.ttl < 2 ** 31, "a TTL out of range");
        must(record.name.length <= 4 * 255, "a name too long");
        if ("address" in record) must(parseIp(record.address) !== null, "an address that is none");
        for (const type of [RecordType.A, RecordType.SRV]) findRecords(answers, record.name, type);
      }
      const name = question?.name ?? "";
      if (!name.includes("\\"))
        must(encodeQuery(1, { name, type: RecordType.A }, 0) !== null, "a name cannot be asked");
      const written = answers.map(again);
      if (written.includes(null) || name.includes("\\")) continue;
      const { id, code } = response;
      const copy = writeResponse({ id, name, type: 1, code, answers: written as WrittenRecord[] });
      must(
        JSON.stringify(decodeResponse(copy)?.answers) === JSON.stringify(answers),
        "another meaning when written again",
      );
    }
  },
};
