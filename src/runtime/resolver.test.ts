// Host names over time: which address is kept, when it is asked again, what is logged.

import { beforeEach, expect, test } from "bun:test";
import { lookupsInFlightMax } from "../base/limits.ts";
import { FakeHost, FakeWorld, settle } from "./fakes.ts";
import { Resolver } from "./resolver.ts";

let world: FakeWorld;
let host: FakeHost;
let resolver: Resolver;
let changes = 0;

const wish = { name: "db.internal", minMs: 1000, maxMs: 60_000, servers: [] };

beforeEach(() => {
  world = new FakeWorld();
  host = new FakeHost();
  changes = 0;
  const { clock, timers, log } = world.env;
  resolver = new Resolver({ clock, timers, log, resolve: (name) => host.resolve(name), onChange: () => changes++ });
});

test("takes the first address and keeps it while it is among the answers", async () => {
  host.names.set("db.internal", { addresses: ["10.0.0.1", "10.0.0.2"], ttlMs: 5000 });
  resolver.ensure([wish]);
  await settle();
  expect(resolver.addressOf(wish)).toBe("10.0.0.1");
  host.names.set("db.internal", { addresses: ["10.0.0.3", "10.0.0.1"], ttlMs: 5000 });
  await world.pass(6000);
  expect(host.lookups.length).toBe(2);
  expect(resolver.addressOf(wish)).toBe("10.0.0.1");
  host.names.set("db.internal", { addresses: ["10.0.0.3"], ttlMs: 5000 });
  await world.pass(6000);
  expect(resolver.addressOf(wish)).toBe("10.0.0.3");
  expect(changes).toBe(2);
  expect(world.lines).toEqual(["I host name has moved name=db.internal from=10.0.0.1 to=10.0.0.3"]);
});

test("the TTL is kept within the bounds; without one the shortest interval counts", async () => {
  host.names.set("db.internal", { addresses: ["10.0.0.1"], ttlMs: 0 });
  resolver.ensure([wish]);
  await world.pass(950);
  expect(host.lookups.length).toBe(1);
  host.names.set("db.internal", { addresses: ["10.0.0.1"], ttlMs: 3_600_000 });
  await world.pass(300);
  expect(host.lookups.length).toBe(2);
  host.names.set("db.internal", { addresses: ["10.0.0.1"], ttlMs: null });
  await world.pass(58_000);
  expect(host.lookups.length).toBe(2);
  await world.pass(3000);
  expect(host.lookups.length).toBe(3);
  await world.pass(1200);
  expect(host.lookups.length).toBe(4);
});

test("a failing lookup is retried, logged once, and takes no address away", async () => {
  host.names.set("db.internal", { addresses: ["10.0.0.1"], ttlMs: 1000 });
  resolver.ensure([wish]);
  await settle();
  host.names.set("db.internal", new Error("the name server failed"));
  await world.pass(5000);
  expect(host.lookups.length).toBeGreaterThan(3);
  expect(resolver.addressOf(wish)).toBe("10.0.0.1");
  host.names.set("db.internal", { addresses: ["10.0.0.1"], ttlMs: 1000 });
  await world.pass(1200);
  expect(world.lines).toEqual([
    "W host name does not resolve name=db.internal reason=the name server failed keeping=10.0.0.1",
    "I host name resolves again name=db.internal",
  ]);
});

test("settled waits for first answers, good or bad, but not for ever", async () => {
  let done = 0;
  resolver.ensure([wish]);
  void resolver.settled(2000).then(() => done++);
  await settle();
  expect(done).toBe(1); // a failure is an answer

  host.resolve = () => new Promise(() => {});
  resolver.ensure([{ ...wish, name: "slow" }]);
  void resolver.settled(2000).then(() => done++);
  await world.pass(1900);
  expect(done).toBe(1);
  await world.pass(300);
  expect(done).toBe(2);
});

test("reconcile forgets what is no longer wanted", async () => {
  resolver.ensure([wish, { ...wish, name: "other" }]);
  await settle();
  resolver.reconcile([{ ...wish, name: "other" }]);
  host.lookups.length = 0;
  await world.pass(1500);
  expect(host.lookups).toEqual(["other"]);
  resolver.stop();
  expect(world.env.timers.size).toBe(0);
});

test("only so many lookups run at once", async () => {
  const waiting: (() => void)[] = [];
  host.resolve = (name) => {
    host.lookups.push(name);
    return new Promise((resolve) => waiting.push(() => resolve({ addresses: ["10.0.0.1"], ttlMs: null })));
  };
  resolver.ensure(Array.from({ length: lookupsInFlightMax + 5 }, (_, i) => ({ ...wish, name: `n${i}` })));
  expect(host.lookups.length).toBe(lookupsInFlightMax);
  waiting[0]!();
  await settle();
  expect(host.lookups.length).toBe(lookupsInFlightMax + 1);
});
