// Copies for a mirror pool: what is copied and what is not, that the copy is what the endpoint gets, that nobody waits
// for it, and that nothing of it is left behind.

import { describe, expect, test } from "bun:test";
import { Scratch } from "../base/bytes.ts";
import { mirrorCopiesMax, mirrorMs } from "../base/limits.ts";
import { seededRng } from "../base/seeded-rng.ts";
import { readTrailerSection } from "../codec/chunked-body.ts";
import { PC } from "../stats/columns.ts";
import { latin1 } from "../wire/h1/tables.ts";
import { FIELD_DROPPED, FIELD_ID, FIELD_WIDTH, HeadFlag } from "../wire/head.ts";
import { Mirror, MirrorLoad, mirrorLoadFor, type MirrorRun } from "./mirror.ts";
import { anyAnswer, PoolRig } from "./pool-rig.ts";
import { factsOf } from "./test-facts.ts";
import { requestHead, sentHead } from "./test-kit.ts";

const firstSeed = Number(process.env["SLUICE_SEED"] ?? 1);
const runs = Number(process.env["SLUICE_RUNS"] ?? 25);

const timeouts = { connectMs: 1000, sendMs: 1000, responseMs: 1000 };
const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

/** A mirror, and the load of its worker. */
class Bench {
  readonly rig: PoolRig;
  readonly load: MirrorLoad;
  readonly mirror: Mirror;
  readonly counters: Float64Array;

  constructor(bodyBytes = 100, percent = 100, load = new MirrorLoad(), rig = new PoolRig(), rng = seededRng(1)) {
    this.rig = rig;
    this.load = load;
    this.counters = rig.columns.pool(0, 1);
    const parts = { ...rig.parts, rng, load, counters: this.counters };
    this.mirror = new Mirror({ pool: "auth", percent, bodyBytes }, rig.runtime, timeouts, parts);
  }

  begin(text: string, added = "", flags: (head: ReturnType<typeof requestHead>) => void = () => {}): MirrorRun | null {
    const head = requestHead(text);
    const facts = factsOf(head);
    flags(head);
    const lines = new Scratch(64);
    lines.putText(added);
    return this.mirror.begin(head, lines, facts, this.rig.holder);
  }
  get lost(): number {
    return this.counters[PC.copiesLost]!;
  }
  /** Copies, their bytes, and what is under way at the pool. */
  get left(): number[] {
    return [this.load.copies, this.load.bytes, ...this.rig.underWay];
  }
}

const nothing = [0, 0, 0, 0, 0, 0, 0];
const get = "GET /a?b HTTP/1.1\nHost: app.example";

function say(run: MirrorRun | null, text: string, last: boolean): void {
  const bytes = latin1(`<${text}>`);
  run!.data(bytes, 1, bytes.length - 1, last);
  bytes.fill(0); // the caller's memory is used again
}

describe("a copy", () => {
  test("is what the endpoint gets: changed target and host, dropped and added fields", () => {
    const bench = new Bench();
    const { rig } = bench;
    const target = new Scratch(16);
    target.putText("/new?x=1");
    const host = new Scratch(16);
    host.putText("inside");
    let expected = "";
    const run = bench.begin(
      `${get}\nCookie: a=1\nX-Old: 1\nConnection: keep-alive, x-hop\nX-Hop: 1\nX-Last: 2`,
      "X-Forwarded-For: 192.0.2.1\r\n",
      (head) => {
        head.flags |= HeadFlag.NewTarget | HeadFlag.NewHost;
        head.newTarget = target;
        head.newHost = host;
        head.fields[2 * FIELD_WIDTH + FIELD_ID]! |= FIELD_DROPPED;
        const added = new Scratch(64);
        added.putText("X-Forwarded-For: 192.0.2.1\r\n");
        expected = sentHead(head, added);
      },
    );
    expect(rig.connections.length).toBe(0); // nothing is sent before the request itself
    run!.headSent();
    rig.latest.open();
    const sent = rig.latest.sent().replaceAll("\r\n", "\n");
    expect(sent).toBe(expected);
    expect(sent).toStartWith("GET /new?x=1 HTTP/1.1\nHost: inside\nCookie: a=1\nX-Last: 2\n");
    rig.latest.receive(ok);
    run!.end();
    expect([...bench.left, rig.sum("status2xx")]).toEqual([...nothing, 1]);
  });

  test("of a request of HTTP/1.0 without Host names the pool", () => {
    const bench = new Bench();
    bench.begin("GET / HTTP/1.0\nX-A: 1")!.headSent();
    bench.rig.latest.open();
    expect(bench.rig.latest.sent()).toBe("GET / HTTP/1.1\r\nX-A: 1\r\nHost: auth\r\n\r\n");
  });

  test("goes when the body is whole, however that came", () => {
    const known = new Bench();
    const run = known.begin("POST / HTTP/1.1\nHost: a\nContent-Length: 6");
    run!.headSent();
    say(run, "abc", false);
    expect([known.rig.connections.length, known.load.bytes]).toEqual([0, 6]);
    say(run, "def", true);
    run!.end();
    known.rig.latest.open();
    expect(known.rig.latest.sent()).toEndWith("\r\n\r\nabcdef");
    known.rig.latest.receive(ok);
    expect(known.left).toEqual(nothing);

    const chunked = new Bench();
    const other = chunked.begin("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked");
    other!.headSent();
    say(other, "abc", false);
    say(other, "def", false);
    say(other, "", true);
    chunked.rig.latest.open();
    expect(chunked.rig.latest.sent()).toEndWith("chunked\r\n\r\n6\r\nabcdef\r\n0\r\n\r\n");
    chunked.rig.latest.receive(ok);
    expect(chunked.left).toEqual(nothing);
  });

  test("has the trailers, too", () => {
    const bench = new Bench();
    const run = bench.begin("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked");
    run!.headSent();
    say(run, "abc", false);
    const section = latin1("X-Sum: 1\r\nX-More: 2\r\n\r\n");
    run!.trailers(readTrailerSection(section, section.length)!);
    bench.rig.latest.open();
    expect(bench.rig.latest.sent()).toEndWith("3\r\nabc\r\n0\r\nX-Sum: 1\r\nX-More: 2\r\n\r\n");
  });

  test("goes to another endpoint if one is not there, but never twice", () => {
    const bench = new Bench(100, 100, new MirrorLoad(), new PoolRig([{}, {}]));
    const run = bench.begin("POST / HTTP/1.1\nHost: a\nContent-Length: 3");
    say(run, "abc", true);
    bench.rig.latest.break();
    bench.rig.latest.open();
    expect(bench.rig.latest.sent()).toEndWith("abc");
    bench.rig.latest.break();
    expect([bench.rig.connections.length, bench.lost, ...bench.left]).toEqual([2, 1, ...nothing]);
  });
});

describe("no copy", () => {
  const beginnings = (bench: Bench, ...texts: string[]): boolean[] =>
    texts.map((text) => {
      const run = bench.begin(text);
      run?.end();
      return run !== null;
    });

  test("of longer bodies than are wanted, of upgrades", () => {
    const bench = new Bench(10);
    const post = "POST / HTTP/1.1\nHost: a";
    const upgrade = "GET / HTTP/1.1\nHost: a\nConnection: upgrade\nUpgrade: websocket";
    const copied = beginnings(bench, `${post}\nContent-Length: 10`, `${post}\nContent-Length: 11`, upgrade, get);
    expect(copied).toEqual([true, false, false, true]);
    const bare = new Bench(0);
    expect(beginnings(bare, `${post}\nTransfer-Encoding: chunked`, `${post}\nContent-Length: 1`, get)).toEqual([
      false,
      false,
      true,
    ]);
    expect([bench.lost, bare.lost, ...bench.left]).toEqual([0, 0, ...nothing]);
  });

  test("of a chunked body that turns out longer: it is let go, and nothing was sent", () => {
    const bench = new Bench(10_000);
    const run = bench.begin("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked");
    run!.headSent();
    for (let k = 0; k < 10; k++) say(run, "x".repeat(1000), false);
    expect(bench.load.bytes).toBe(10_000);
    say(run, "x", false);
    expect([bench.left, bench.rig.connections.length, bench.lost]).toEqual([nothing, 0, 0]);
    say(run, "x", true);
    run!.end();
    expect([bench.left, bench.rig.connections.length]).toEqual([nothing, 0]);
  });

  test("of a request that breaks off before its body is whole", () => {
    const bench = new Bench();
    const run = bench.begin("POST / HTTP/1.1\nHost: a\nContent-Length: 6");
    run!.headSent();
    say(run, "abc", false);
    run!.end();
    say(run, "def", true);
    expect([bench.left, bench.rig.connections.length, bench.lost]).toEqual([nothing, 0, 0]);
    const bare = bench.begin(get);
    bare!.end();
    bare!.headSent();
    expect([bench.left, bench.rig.connections.length]).toEqual([nothing, 0]);
  });

  test("beyond so many at once, or so many bytes: those are counted", () => {
    const bench = new Bench(100, 100, new MirrorLoad(2, 120));
    const post = "POST / HTTP/1.1\nHost: a\nContent-Length: ";
    const first = bench.begin(`${post}100`);
    expect(bench.begin(`${post}21`)).toBeNull();
    const second = bench.begin(`${post}20`);
    expect(bench.begin(get)).toBeNull();
    expect([bench.load.copies, bench.load.bytes, bench.lost]).toEqual([2, 120, 2]);
    second!.end();
    const chunked = bench.begin("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked");
    say(chunked, "x".repeat(21), false);
    expect([bench.load.copies, bench.load.bytes, bench.lost]).toEqual([1, 100, 3]);
    first!.end();
    expect(bench.left).toEqual(nothing);
  });

  test("beyond a ninth of the sockets", () => {
    const copies = [0, 3, 100, 1_000_000].map((sockets) => mirrorLoadFor(sockets).copiesMax);
    expect(copies).toEqual([mirrorCopiesMax, 1, 11, mirrorCopiesMax]);
  });

  test("where the pool has no place at once", () => {
    const bench = new Bench(100, 100, new MirrorLoad(), new PoolRig([{ maxConnections: 1 }]));
    bench.begin(get)!.headSent();
    bench.begin(get)!.headSent();
    expect([bench.rig.connections.length, bench.lost, bench.load.copies]).toEqual([1, 1, 1]);
  });
});

describe("its answer", () => {
  test("is read and dropped, whatever it is; a late one is given up", () => {
    const bench = new Bench();
    bench.begin(get)!.headSent();
    bench.rig.latest.open().receive("HTTP/1.1 500 no\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (let k = 0; k < 100; k++) bench.rig.latest.receive(`400\r\n${"x".repeat(1024)}\r\n`);
    bench.rig.latest.receive("0\r\nX: 1\r\n\r\n");
    expect([bench.left, bench.lost, bench.rig.sum("idle")]).toEqual([nothing, 0, 1]);
    bench.begin(get)!.headSent();
    for (let k = 0; k < 2 * mirrorMs && bench.rig.latest.isOpen; k += 500) {
      bench.rig.latest.receive(k === 0 ? "HTTP/1.1 200 OK\r\n\r\n" : "x");
      bench.rig.time.pass(500);
    }
    expect([bench.rig.latest.ended, bench.lost, bench.rig.sum("failures")]).toEqual(["abort", 1, 0]);
    expect(bench.left).toEqual(nothing);
  });
});

test("the share is kept", () => {
  for (const percent of [0.01, 5, 50, 99.9, 100]) {
    const bench = new Bench(0, percent);
    const draws = 40_000;
    let copied = 0;
    const facts = factsOf(requestHead(get));
    const added = new Scratch(16);
    for (let k = 0; k < draws; k++) {
      const run = bench.mirror.begin(facts.head, added, facts, bench.rig.holder);
      if (run !== null) copied++;
      run?.end();
    }
    const p = percent / 100;
    const sigma = Math.sqrt(draws * p * (1 - p));
    expect(Math.abs(copied - draws * p), `${percent} %: ${copied}`).toBeLessThanOrEqual(5 * sigma);
  }
});

test("whatever happens, everything that was taken is given back", () => {
  for (let seed = firstSeed; seed < firstSeed + runs * 4; seed++) {
    const rng = seededRng(seed);
    const circuit = { connections: rng.below(2) * 3, pending: 0, requests: rng.below(2) * 4 };
    const rig = new PoolRig([{ maxConnections: rng.below(3) }, {}], { circuit }, rng);
    const bench = new Bench(300, 90, new MirrorLoad(1 + rng.below(6), 500), rig, rng);
    let live: MirrorRun[] = [];
    for (let step = 0; step < 80; step++) {
      const what = rng.below(4);
      const one = live[rng.below(Math.max(1, live.length))];
      if (what === 0) {
        const length = ["", `\nContent-Length: ${rng.below(350)}`, "\nTransfer-Encoding: chunked"][rng.below(3)];
        const run = bench.begin(`PUT / HTTP/1.1\nHost: a${length}`);
        if (run !== null) live.push(run);
        if (rng.below(4) !== 0) run?.headSent();
      } else if (what === 1) rig.trouble(rng, () => anyAnswer(rng));
      else if (one === undefined) continue;
      else if (rng.below(6) === 0) {
        one.end();
        live = live.filter((run) => run !== one);
      } else say(one, "x".repeat(rng.below(200)), rng.below(3) === 0);
      expect(bench.load.copies).toBeLessThanOrEqual(bench.load.copiesMax);
      expect(bench.load.bytes).toBeLessThanOrEqual(500);
    }
    for (const run of live) run.end();
    const left = rig.end();
    const where = `seed ${seed}`;
    expect([where, ...bench.left, ...left]).toEqual([where, ...nothing, 0, 0, 0]);
  }
});
