// Hooks of every kind, clients and endpoints of every kind, at once and at random: nothing is left over at the end, no
// client is forgotten, and nobody's answer goes to another.

import { expect, test } from "bun:test";
import { seededRng } from "../base/seeded-rng.ts";
import type { HookResponse } from "../config/ts/hook-types.ts";
import type { FakeConnection } from "../codec/test-kit.ts";
import { HookRig, settle } from "./hook-rig.ts";

const seeds = Number(process.env["HOOK_SEEDS"] ?? 150);

/** A rig whose hooks do one random thing for each request. Answers say which request they are for. */
class TroubleRig extends HookRig {
  readonly unsettled: (() => void)[] = [];

  constructor(seed: number) {
    const rng = seededRng(seed);
    const unsettled: (() => void)[] = [];
    /** null, a promise that is settled some time, or an exception. */
    const behave = <T>(value: () => T): T | Promise<T> => {
      const what = rng.below(8);
      if (what === 0) throw new Error("sync");
      if (what < 4) return value();
      return new Promise<T>((resolve, reject) => {
        if (what === 4) return; // never
        unsettled.push(() => {
          try {
            if (what === 5) throw new Error("async");
            resolve(value());
          } catch (error) {
            reject(error as Error);
          }
        });
      });
    };
    super({
      endpoints: [{}, {}],
      onError: rng.below(2) === 0 ? "fail" : "bypass",
      request: (r) => {
        const answers = rng.below(6) === 0;
        return behave((): HookResponse | undefined => {
          r.setHeader("x-hook", r.path);
          r.log("path", r.path);
          return answers ? { status: 299, headers: { "x-for": r.path }, body: "own" } : undefined;
        });
      },
      response: (res, r) => behave(() => res.setHeader("x-shown", `${res.header("x-for")} ${r.path}`)),
    });
    this.unsettled = unsettled;
  }
}

/** Endpoints answer requests that they have got, each for itself. */
function answerSome(rig: TroubleRig, rng: ReturnType<typeof seededRng>, got: Map<FakeConnection, string>): void {
  for (const endpoint of rig.pool.connections) {
    if (!endpoint.isOpen) continue;
    if (!endpoint.opened) {
      if (rng.below(2) === 0) endpoint.open();
      continue;
    }
    got.set(endpoint, (got.get(endpoint) ?? "") + endpoint.sent());
    const path = /^[A-Z]+ (\/\d+) /.exec(got.get(endpoint)!)?.[1];
    endpoint.pump();
    if (path === undefined || rng.below(3) === 0) continue;
    const seen = /x-hook: (\S+)\r\n/.exec(got.get(endpoint)!)?.[1];
    if (seen !== undefined) expect(seen).toBe(path);
    got.delete(endpoint);
    if (rng.below(8) === 0) endpoint.break();
    else if (rng.below(3) === 0) {
      endpoint.receive(
        `HTTP/1.1 200 OK\r\nX-For: ${path}\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbo`,
        "dy\r\n0\r\n\r\n",
      );
    } else endpoint.receive(`HTTP/1.1 200 OK\r\nX-For: ${path}\r\nContent-Length: 4\r\n\r\nbo`, "dy");
  }
}

async function play(seed: number): Promise<void> {
  const rig = new TroubleRig(seed);
  const rng = seededRng(seed + 1_000_000);
  const clients: { readonly path: string; readonly client: FakeConnection }[] = [];
  const got = new Map<FakeConnection, string>();
  for (let step = 0; step < 60; step++) {
    const what = rng.below(10);
    if (what < 3 && clients.length < 12) {
      const path = `/${seed}${clients.length}`;
      const body = rng.below(3) === 0 ? "Content-Length: 4\r\n\r\nbo" : "\r\n";
      const client = rig.ask(`${body === "\r\n" ? "GET" : "POST"} ${path} HTTP/1.1\r\nHost: h\r\n${body}`);
      if (body !== "\r\n") client.receive("dy");
      clients.push({ path, client });
    } else if (what < 6) answerSome(rig, rng, got);
    else if (what < 8) rig.unsettled.splice(rng.below(1 + rig.unsettled.length), 1)[0]?.();
    else if (what === 8) rig.pool.time.pass(rng.below(700));
    else if (clients.length > 0 && rng.below(4) === 0) clients[rng.below(clients.length)]!.client.break();
    await settle();
    for (const { client } of clients) client.pump();
  }
  rig.pool.time.pass(2000); // whoever still waits for a hook
  for (let round = 0; round < 6; round++) answerSome(rig, rng, got);
  await settle();
  rig.pool.time.pass(2000);
  const left = rig.end();
  for (const { path, client } of clients) {
    const sent = client.sent();
    for (const [, about] of sent.matchAll(/^x-(?:for|shown): (.*)\r$/gim)) {
      expect(about!.replaceAll("null ", "")).toMatch(new RegExp(`^${path}( ${path})?$`));
    }
  }
  expect(left).toEqual(left.map(() => 0));
  expect(rig.log.split("\n").length - 1).toBe(clients.length);
  for (const unsettled of rig.unsettled) unsettled();
  await settle();
}

test("nothing is left over, and nothing goes astray", async () => {
  const first = Date.now() % 1_000_000;
  for (let seed = first; seed < first + seeds; seed++) {
    try {
      await play(seed);
    } catch (error) {
      throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
    }
  }
});
