// Cost of requests of our own, without what the network costs: an answer that is remembered, a question, a copy. A
// route without them pays nothing.

import { Scratch } from "../base/bytes.ts";
import { seededRng } from "../base/seeded-rng.ts";
import { defaultForwardAuth } from "../model/policy-defaults.ts";
import { ForwardAuth } from "./forward-auth.ts";
import { Mirror, MirrorLoad } from "./mirror.ts";
import { PoolRig } from "./pool-rig.ts";
import { factsOf } from "./test-facts.ts";
import { requestHead } from "./test-kit.ts";

const request =
  "GET /api/users/42?full=1 HTTP/1.1\nHost: app.example.com\nUser-Agent: bench\nAccept: */*\n" +
  "Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\nX-Request-Id: 0123456789abcdef";
const answer = "HTTP/1.1 200 OK\r\nX-User: joe\r\nContent-Length: 0\r\n\r\n";
const timeouts = { connectMs: 1000, sendMs: 1000, responseMs: 1000 };
const seeds = [
  { k0: 1, k1: 2 },
  { k0: 3, k1: 4 },
] as const;

function nanoseconds(iterations: number, work: () => void): number {
  const started = Bun.nanoseconds();
  for (let k = 0; k < iterations; k++) work();
  return (Bun.nanoseconds() - started) / iterations;
}

/** A pool with one kept connection whose other end answers each request at once, when told to. */
function answering(): PoolRig {
  const rig = new PoolRig();
  const runtime = { question: null, onVerdict() {} };
  const head = requestHead(request);
  const auth = new ForwardAuth({ pool: "auth", path: "/", ...defaultForwardAuth }, rig.runtime, {
    ...rig.parts,
    seeds,
  });
  auth.ask(runtime, factsOf(head), rig.holder);
  rig.latest.open().receive(answer);
  rig.latest.write = (_bytes, start, end) => end - start;
  return rig;
}

/** Nanoseconds per request of each. */
export function bench(iterations: number): Readonly<Record<string, number>> {
  const head = requestHead(request);
  const facts = factsOf(head, { source: "203.0.113.7", scheme: "https", port: "443", requestId: "0123456789abcdef" });
  const config = { pool: "auth", path: "/verify", ...defaultForwardAuth, copyHeaders: ["x-user"] };
  const waiter = { question: null, onVerdict() {} };
  const added = new Scratch(1024);
  const rig = answering();
  const { holder } = rig;
  const cached = new ForwardAuth({ ...config, cacheMs: 60_000 }, rig.runtime, { ...rig.parts, seeds });
  cached.ask(waiter, facts, holder);
  rig.latest.receive(answer);
  const asked = new ForwardAuth(config, rig.runtime, { ...rig.parts, seeds });
  const parts = { ...rig.parts, rng: seededRng(1), load: new MirrorLoad(), counters: rig.columns.pool(0, 1) };
  const mirrorOf = (percent: number): Mirror =>
    new Mirror({ pool: "auth", percent, bodyBytes: 1000 }, rig.runtime, timeouts, parts);
  const all = mirrorOf(100);
  const few = mirrorOf(0.01);
  return {
    "remembered answer": nanoseconds(iterations, () => {
      const verdict = cached.ask(waiter, facts, holder);
      added.length = 0;
      cached.apply(verdict!, head, added);
    }),
    "question and answer": nanoseconds(iterations, () => {
      asked.ask(waiter, facts, holder);
      rig.latest.receive(answer);
    }),
    "copy and answer": nanoseconds(iterations, () => {
      all.begin(head, added, facts, holder)!.headSent();
      rig.latest.receive(answer);
    }),
    "drawn, not copied": nanoseconds(iterations, () => {
      few.begin(head, added, facts, holder)?.end();
    }),
  };
}

if (import.meta.main) {
  bench(20_000);
  for (const [name, ns] of Object.entries(bench(200_000))) console.log(`${name.padEnd(24)}${ns.toFixed(0)} ns`);
}
