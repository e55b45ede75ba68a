// Endpoints from DNS over time, against name servers and a clock that do as they are told.

import { beforeEach, describe, expect, test } from "bun:test";
import { type DnsRecord, RecordType } from "../wire/dns/message.ts";
import { DnsSource } from "./dns-source.ts";
import { FakeHost, FakeWorld, settle } from "./fakes.ts";

let world: FakeWorld;
let host: FakeHost;
let changes = 0;
let source: DnsSource;

beforeEach(() => {
  world = new FakeWorld();
  host = new FakeHost();
  changes = 0;
});

const resolve = { minMs: 1000, maxMs: 60_000, servers: [] as string[] };

async function open(type: "address" | "srv", more: Partial<typeof resolve> = {}): Promise<void> {
  const { clock, timers, log } = world.env;
  const config = { from: "dns", name: "api.test", type, port: type === "srv" ? 0 : 80 } as const;
  const record = log.write.bind(log);
  source = new DnsSource(config, { ...resolve, ...more }, { clock, timers, host, record, onChange: () => changes++ });
  await settle();
}

/** What name servers say of the addresses of a name: records, nothing, or a failure. */
function addresses(name: string, four: readonly string[] | Error, six: readonly string[] | Error = [], ttl = 5): void {
  for (const [type, given] of [
    [RecordType.A, four],
    [RecordType.AAAA, six],
  ] as const) {
    const answers = given instanceof Error ? [] : given.map((address): DnsRecord => ({ type, name, ttl, address }));
    host.records.set(`${type} ${name}`, given instanceof Error ? given : { answers });
  }
}

/** "priority weight port target" */
function services(records: readonly string[] | Error, additional: readonly DnsRecord[] = [], ttl = 5): void {
  const key = `${RecordType.SRV} api.test`;
  if (records instanceof Error) return void host.records.set(key, records);
  const answers = records.map((text): DnsRecord => {
    const [priority = 0, weight = 0, port = 0] = text.split(" ").map(Number);
    return { type: RecordType.SRV, name: "api.test", ttl, priority, weight, port, target: text.split(" ")[3]! };
  });
  host.records.set(key, { answers, additional });
}

const failure = new Error("the name server failed");
const ids = (): string => source.endpoints.map(({ id }) => id).join(" ");
const asked = (): number => host.questions.filter((question) => question.startsWith(`${RecordType.A} `)).length;

describe("addresses", () => {
  test("each is an endpoint; the order of the answer is no change", async () => {
    addresses("api.test", ["10.0.0.2", "10.0.0.1"], ["2001:db8::1"]);
    await open("address");
    expect(ids()).toBe("10.0.0.1:80 10.0.0.2:80 [2001:db8::1]:80");
    addresses("api.test", ["10.0.0.1", "10.0.0.2"], ["2001:db8::1"]);
    await world.pass(6000);
    expect([asked(), changes]).toEqual([2, 1]);
    addresses("api.test", ["10.0.0.1", "10.0.0.3"], ["2001:db8::1"]);
    await world.pass(6000);
    expect([ids(), changes]).toEqual(["10.0.0.1:80 10.0.0.3:80 [2001:db8::1]:80", 2]);
  });

  test("are asked for again as the TTL runs out, within the bounds", async () => {
    addresses("api.test", ["10.0.0.1"], [], 30);
    await open("address");
    await world.pass(29_900);
    expect(asked()).toBe(1);
    addresses("api.test", ["10.0.0.1"], [], 0);
    await world.pass(300);
    expect(asked()).toBe(2);
    addresses("api.test", ["10.0.0.1"], [], 86_400);
    await world.pass(1200);
    expect(asked()).toBe(3);
    await world.pass(59_000);
    expect(asked()).toBe(3);
    await world.pass(1300);
    expect(asked()).toBe(4);
  });

  test("name servers of the pool's choice are asked", async () => {
    await open("address", { servers: ["10.0.0.53"] });
    expect(host.questions).toEqual([`${RecordType.A} api.test 10.0.0.53`, `${RecordType.AAAA} api.test 10.0.0.53`]);
  });

  test("those of the hosts file need no name server", async () => {
    const { clock, timers, log } = world.env;
    const config = { from: "dns", name: "localhost", type: "address", port: 80 } as const;
    const env = { clock, timers, host, record: log.write.bind(log), onChange: () => changes++ };
    source = new DnsSource(config, resolve, env);
    await settle();
    expect([ids(), host.questions.length]).toEqual(["127.0.0.1:80 [::1]:80", 0]);
  });

  test("a failure changes nothing, is told once, and ages what there is", async () => {
    addresses("api.test", ["10.0.0.1", "10.0.0.2"]);
    await open("address");
    addresses("api.test", failure, failure);
    await world.pass(10_000);
    expect([ids(), changes]).toEqual(["10.0.0.1:80 10.0.0.2:80", 1]);
    const reason = "the name server failed";
    expect(source.report(world.nowMs)).toMatchObject({ endpoints: 2, ageMs: 10_000, trouble: reason });
    expect(world.lines).toEqual([
      `W discovery has trouble from=dns name=api.test type=address reason=${reason} keeping=2`,
    ]);
    addresses("api.test", ["10.0.0.1"]);
    await world.pass(1200);
    expect([ids(), source.report(world.nowMs).trouble]).toEqual(["10.0.0.1:80", ""]);
    expect(world.lines.at(-1)).toBe("I discovery works again from=dns name=api.test");
  });

  test("a family that fails keeps its addresses, the other one changes", async () => {
    addresses("api.test", ["10.0.0.1"], ["2001:db8::1"]);
    await open("address");
    addresses("api.test", ["10.0.0.2"], failure);
    await world.pass(6000);
    expect(ids()).toBe("10.0.0.2:80 [2001:db8::1]:80");
    expect(source.report(world.nowMs)).toMatchObject({ trouble: "the name server failed" });
    expect(source.report(world.nowMs).ageMs).toBeLessThan(1500);
    addresses("api.test", [], failure);
    await world.pass(6000);
    expect(ids()).toBe("[2001:db8::1]:80");
  });

  test("half a failure with nothing in the other half is a failure, not nothing", async () => {
    addresses("api.test", ["10.0.0.1"]);
    await open("address");
    addresses("api.test", failure, []);
    await world.pass(20_000);
    expect([ids(), changes]).toEqual(["10.0.0.1:80", 1]);
  });
});

describe("nothing", () => {
  test("is believed when it is said twice, and soon asked for again", async () => {
    addresses("api.test", ["10.0.0.1"], [], 60);
    await open("address");
    host.records.clear(); // no such name
    await world.pass(60_100);
    expect([ids(), changes]).toEqual(["10.0.0.1:80", 1]);
    await world.pass(1100);
    expect([ids(), changes]).toEqual(["", 2]);
    expect(world.lines).toEqual([
      "W discovery has trouble from=dns name=api.test type=address reason=no records, for the first time keeping=1",
      "W discovery has trouble from=dns name=api.test type=address reason=no records keeping=0",
    ]);
    addresses("api.test", ["10.0.0.2"]);
    await world.pass(1200);
    expect(ids()).toBe("10.0.0.2:80");
  });

  test("once, between answers, is forgotten", async () => {
    addresses("api.test", ["10.0.0.1"]);
    await open("address");
    for (let i = 0; i < 3; i++) {
      addresses("api.test", []);
      await world.pass(5100);
      addresses("api.test", ["10.0.0.1"]);
      await world.pass(1100);
    }
    expect([ids(), changes]).toEqual(["10.0.0.1:80", 1]);
  });

  test("a failure in between does not count as nothing", async () => {
    addresses("api.test", ["10.0.0.1"]);
    await open("address");
    addresses("api.test", []);
    await world.pass(5100);
    addresses("api.test", failure, failure);
    await world.pass(5000);
    expect(ids()).toBe("10.0.0.1:80");
  });

  test("at the start is an answer: nobody waits for a second", async () => {
    await open("address");
    expect([source.answered, changes, source.endpoints]).toEqual([true, 1, []]);
  });
});

describe("services", () => {
  test("have the addresses that came along, others are asked for", async () => {
    const additional: readonly DnsRecord[] = [
      { type: RecordType.A, name: "a.test", ttl: 3, address: "10.0.0.1" },
      { type: RecordType.A, name: "stranger.test", ttl: 3, address: "10.9.9.9" },
    ];
    services(["10 6 8080 a.test", "10 3 8081 b.test", "20 1 8082 b.test"], additional);
    addresses("b.test", ["10.0.0.2"]);
    await open("srv");
    expect(source.endpoints.map(({ id, weight, backup }) => `${id} ${weight}${backup ? " +" : ""}`)).toEqual([
      "10.0.0.1:8080 6",
      "10.0.0.2:8081 3",
      "10.0.0.2:8082 1 +",
    ]);
    expect(host.questions).toEqual([
      `${RecordType.SRV} api.test`,
      `${RecordType.A} b.test`,
      `${RecordType.AAAA} b.test`,
    ]);
    await world.pass(2900);
    expect(host.questions.length).toBe(3);
    await world.pass(300); // the shortest TTL of all of them counts
    expect(host.questions.length).toBe(6);
  });

  test("a target that fails keeps its addresses, one that has none is left out", async () => {
    services(["1 1 80 a.test", "1 1 80 b.test"]);
    addresses("a.test", ["10.0.0.1"]);
    addresses("b.test", ["10.0.0.2"]);
    await open("srv");
    addresses("a.test", failure, failure);
    addresses("b.test", []);
    await world.pass(5200);
    expect(ids()).toBe("10.0.0.1:80");
    expect(source.report(world.nowMs).trouble).toBe("the name server failed");
  });

  test("when every target fails nothing changes; a target that went and came back is asked for anew", async () => {
    services(["1 1 80 a.test"]);
    addresses("a.test", ["10.0.0.1"]);
    await open("srv");
    services(["1 1 80 b.test"]);
    addresses("b.test", failure, failure);
    await world.pass(5200);
    expect(ids()).toBe("10.0.0.1:80");
    services(["1 1 80 a.test"]);
    addresses("a.test", failure, failure);
    await world.pass(5200);
    expect(ids()).toBe("10.0.0.1:80");
    services(failure);
    await world.pass(5200);
    expect([ids(), changes]).toEqual(["10.0.0.1:80", 1]);
  });

  test("a service that is decidedly not there (target .) is nothing", async () => {
    services(["1 1 80 a.test"]);
    addresses("a.test", ["10.0.0.1"]);
    await open("srv");
    services(["0 0 0 "]);
    await world.pass(7000);
    expect(ids()).toBe("");
  });
});

test("closed, it asks no more, and an answer on its way changes nothing", async () => {
  addresses("api.test", ["10.0.0.1"]);
  await open("address");
  addresses("api.test", ["10.0.0.2"]);
  await world.pass(4900);
  world.nowMs += 300;
  world.env.timers.advance(world.nowMs); // asks
  source.close();
  await settle();
  await world.pass(10_000);
  expect([ids(), changes, asked()]).toEqual(["10.0.0.1:80", 1, 2]);
  expect(world.env.timers.size).toBe(0);
});
