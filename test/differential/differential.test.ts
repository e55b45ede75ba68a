// The same byte strings to Sluice, nginx and HAProxy. What Sluice makes of each is fixed in corpus.ts, and whatever it
// forwards must have one meaning to a strict parser of another make. Where the others make something else of it, that
// is written down with its reason in disagreements.golden; UPDATE_GOLDEN=1 rewrites it and leaves new reasons to be
// written.

import { readFileSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { lacks } from "../support/needs.ts";
import { type Case, corpus } from "./corpus.ts";
import { disagree, type Disagreement, readGolden, writeGolden } from "./golden.ts";
import { type Peer, play, startHaproxy, startNginx, startSluicePeer } from "./peers.ts";
import { readStrictly } from "./strict-parser.ts";

const goldenFile = new URL("disagreements.golden", import.meta.url);
const noReason = "(to be written)";

test("the names of the corpus are unique, and there are enough of them", () => {
  expect(new Set(corpus.map((each) => each.name)).size).toBe(corpus.length);
  expect(corpus.length).toBeGreaterThan(100);
});

describe("Sluice", () => {
  let sluice: Peer;
  beforeAll(async () => {
    sluice = await startSluicePeer();
  });
  afterAll(() => sluice[Symbol.asyncDispose]());

  const check =
    ({ bytes, sluice: expected }: Case) =>
    async (): Promise<void> => {
      const { outcome, readings } = await play(sluice, bytes);
      expect(outcome).toBe(expected);
      for (const reading of readings) {
        // One request a connection, nothing behind it; or, where the client's request broke off, the beginning of one.
        expect(reading.problem).toBe("");
        expect(reading.requests.length).toBe(reading.rest === "incomplete" ? 0 : 1);
      }
    };
  for (const each of corpus) test(`${each.name}: ${each.sluice}`, check(each));
});

/**
 * The outcome of one of the others. Where it depends on how their reads and writes fall together, the known one counts
 * if it comes in a few tries.
 */
async function outcomeOf(peer: Peer, bytes: string, known: string | undefined): Promise<string> {
  let outcome = "";
  for (let tries = 0; tries < 6; tries++) {
    outcome = (await play(peer, bytes)).outcome;
    if (known === undefined || outcome === known) break;
  }
  return outcome;
}

test.skipIf(lacks("nginx", "haproxy"))(
  "nginx and HAProxy agree, or it is known why not",
  async () => {
    await using nginx = await startNginx();
    await using haproxy = await startHaproxy();
    const peers = [nginx, haproxy];
    const versions = peers.map((peer) => peer.version).join(", ");
    const known = readGolden(readFileSync(goldenFile, "utf8"));
    const entries = new Map(known.disagreements.map((each) => [each.name, each]));
    const columns = await Promise.all(
      peers.map(async (peer) => {
        const outcomes: string[] = [];
        for (const { name, bytes } of corpus) {
          outcomes.push(await outcomeOf(peer, bytes, entries.get(name)?.outcomes[peer.name]));
        }
        return outcomes;
      }),
    );
    const found = corpus.flatMap(({ name, bytes, sluice }, i): Disagreement[] => {
      const outcomes = { sluice, nginx: columns[0]![i]!, haproxy: columns[1]![i]! };
      if (!disagree(Object.values(outcomes))) return [];
      return [{ name, bytes: JSON.stringify(bytes), outcomes, why: entries.get(name)?.why ?? noReason }];
    });
    if (process.env["UPDATE_GOLDEN"] === "1")
      writeFileSync(goldenFile, writeGolden({ versions, disagreements: found }));
    else if (versions === known.versions)
      expect(writeGolden({ versions, disagreements: found })).toBe(writeGolden(known));
    else process.stderr.write(`not compared: ${known.versions} wrote the golden file, here are ${versions}\n`);
    expect(known.disagreements.filter((each) => each.why === noReason).map((each) => each.name)).toEqual([]);
  },
  60_000,
);

test("what the golden file says of Sluice is what the corpus says", () => {
  const expected = new Map(corpus.map((each) => [each.name, each]));
  for (const { name, bytes, outcomes } of readGolden(readFileSync(goldenFile, "utf8")).disagreements) {
    expect([name, outcomes["sluice"]]).toEqual([name, expected.get(name)?.sluice]);
    expect([name, bytes]).toEqual([name, JSON.stringify(expected.get(name)?.bytes)]);
  }
});

describe("the strict parser", () => {
  const words = (text: string): string => {
    const { requests, rest, problem } = readStrictly(text);
    return [...requests.map((each) => `${each.method} ${each.target} ${each.body}`), rest, problem].join("|");
  };
  const post = "POST /a HTTP/1.1\r\nHost: a\r\n";
  test("reads whole requests of each framing, one after the other", () => {
    const chunked = `${post}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: 1\r\n\r\n`;
    expect(words(`${post}Content-Length: 2\r\n\r\nhi${chunked}${post}\r\n`)).toBe(
      "POST /a hi|POST /a hello|POST /a |nothing|",
    );
  });
  test("knows the beginning of a request", () => {
    for (const text of [
      post,
      `${post}Content-Length: 2\r\n\r\nh`,
      `${post}Transfer-Encoding: chunked\r\n\r\n5\r\nhe`,
    ]) {
      expect(words(text)).toBe("incomplete|");
    }
  });
  test("tells what is ambiguous", () => {
    for (const bad of [
      "GET /a HTTP/1.0\r\nHost: a\r\n\r\n",
      "GET /a HTTP/1.1\r\n\r\n",
      `${post}Host: b\r\n\r\n`,
      `${post}X : 1\r\n\r\n`,
      `${post}X: 1\r\n 2\r\n\r\n`,
      `${post}X: 1\nY: 2\r\n\r\n`,
      `${post}Content-Length: 1\r\nContent-Length: 1\r\n\r\nx`,
      `${post}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      `${post}Transfer-Encoding: chunked, x\r\n\r\n0\r\n\r\n`,
      `${post}Transfer-Encoding: chunked\r\n\r\n5;a\r\nhello\r\n0\r\n\r\n`,
      `${post}Transfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n`,
      `${post}\r\n0\r\n\r\n`,
    ]) {
      expect(words(bad)).toContain("ambiguous|");
    }
  });
});
