// SRV records as endpoints: priorities, weights, targets with several addresses.

import { describe, expect, test } from "bun:test";
import { RecordType, type ServiceRecord } from "../wire/dns/message.ts";
import { endpointsOfAddresses, endpointsOfServices } from "./service-records.ts";

/** "priority weight target:port" */
function records(...texts: readonly string[]): ServiceRecord[] {
  return texts.map((text) => {
    const [, priority, weight, target, port] = /^(\d+) (\d+) (\w*):(\d+)$/.exec(text)!;
    const numbers = { priority: Number(priority), weight: Number(weight), port: Number(port) };
    return { type: RecordType.SRV, name: "_s._tcp.test", ttl: 1, target: target!, ...numbers };
  });
}

const addresses: Readonly<Record<string, readonly string[]>> = {
  a: ["10.0.0.1"],
  b: ["10.0.0.2"],
  c: ["10.0.0.3"],
  same: ["10.0.0.1"],
  two: ["10.0.0.4", "2001:db8::4"],
};

/** "id weight", and a + behind a backup. */
function endpoints(...texts: readonly string[]): string[] {
  const found = endpointsOfServices(records(...texts), (target) => addresses[target] ?? []);
  return found.map(({ id, weight, backup }) => `${id} ${weight}${backup ? " +" : ""}`);
}

test("addresses are endpoints in one order, whatever the order of the answer", () => {
  const found = endpointsOfAddresses(["2001:db8::1", "10.0.0.2", "10.0.0.1", "10.0.0.2"], 80);
  expect(found.map(({ id }) => id)).toEqual(["10.0.0.1:80", "10.0.0.2:80", "[2001:db8::1]:80"]);
  expect(found[2]).toEqual({
    id: "[2001:db8::1]:80",
    host: "2001:db8::1",
    port: 80,
    unixPath: null,
    weight: 1,
    backup: false,
    maxConnections: 0,
    admin: "ready",
  });
});

describe("services", () => {
  test("the lowest priority number serves, all others stand by", () => {
    expect(endpoints("20 5 b:80", "10 5 a:80", "30 5 c:80")).toEqual([
      "10.0.0.1:80 5",
      "10.0.0.2:80 5 +",
      "10.0.0.3:80 5 +",
    ]);
  });

  test("weights that fit are taken as they are, larger ones in proportion, never less than 1", () => {
    expect(endpoints("1 1000 a:80", "1 3 b:80")).toEqual(["10.0.0.1:80 1000", "10.0.0.2:80 3"]);
    expect(endpoints("1 60000 a:80", "1 30000 b:80", "1 10 c:80")).toEqual([
      "10.0.0.1:80 1000",
      "10.0.0.2:80 500",
      "10.0.0.3:80 1",
    ]);
  });

  test("weight 0 is a very small share beside others, an equal one among its like", () => {
    expect(endpoints("1 0 a:80", "1 0 b:80")).toEqual(["10.0.0.1:80 1", "10.0.0.2:80 1"]);
    expect(endpoints("1 0 a:80", "1 1 b:80", "1 2 c:80")).toEqual([
      "10.0.0.1:80 1",
      "10.0.0.2:80 500",
      "10.0.0.3:80 1000",
    ]);
  });

  test("each priority has weights of its own", () => {
    expect(endpoints("1 0 a:80", "1 2 b:80", "2 7 c:80")).toEqual([
      "10.0.0.1:80 1",
      "10.0.0.2:80 1000",
      "10.0.0.3:80 7 +",
    ]);
  });

  test("a target with two addresses shares its weight out; ports make endpoints of their own", () => {
    expect(endpoints("1 10 two:80", "1 10 a:80", "1 1 a:81")).toEqual([
      "10.0.0.1:80 10",
      "10.0.0.1:81 1",
      "10.0.0.4:80 5",
      "[2001:db8::4]:80 5",
    ]);
  });

  test("one address and port is one endpoint, whoever names it", () => {
    expect(endpoints("1 10 a:80", "1 7 same:80")).toEqual(["10.0.0.1:80 17"]);
    expect(endpoints("2 10 a:80", "1 7 same:80", "2 9 b:80")).toEqual(["10.0.0.1:80 7", "10.0.0.2:80 9 +"]);
    expect(endpoints("1 999 a:80", "1 7 same:80")).toEqual(["10.0.0.1:80 1000"]);
  });

  test("targets without an address are left out", () => {
    expect(endpoints("1 10 a:80", "1 10 unknown:80")).toEqual(["10.0.0.1:80 10"]);
    expect(endpoints("1 10 unknown:80")).toEqual([]);
  });
});
