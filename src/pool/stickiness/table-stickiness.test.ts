// Stickiness by address and by the application's cookie: what is learned, from whom, and when a session moves.

import { describe, expect, test } from "bun:test";
import { parseIp } from "../../base/ip.ts";
import { seededRng } from "../../base/seeded-rng.ts";
import { SharedTable, sharedTableWords } from "../../stats/shared-table.ts";
import { SetClock } from "../sample-pool.ts";
import { SessionTable, sessionTableShape } from "./session-table.ts";
import { bench } from "./table-stickiness.bench.ts";
import { StickyMark } from "./stickiness.ts";
import { AppCookieStickiness, SourceStickiness } from "./table-stickiness.ts";
import { requestHead, responseHead } from "./test-kit.ts";

const shape = sessionTableShape(1000);
const three = ["a:1", "b:1", "c:1"];
const minute = 60_000;

/** The memory that workers share, and a clock for all of them. */
class Shared {
  readonly clock = new SetClock();
  private readonly words = new Int32Array(sharedTableWords(shape));

  sessions(): SessionTable {
    return new SessionTable(new SharedTable(this.words, shape), { k0: 7, k1: 8 }, 10 * minute);
  }

  bySource(ids: readonly string[] = three): SourceStickiness {
    return new SourceStickiness(ids, this.sessions(), this.clock);
  }

  byCookie(ids: readonly string[] = three): AppCookieStickiness {
    return new AppCookieStickiness("JSESSIONID", ids, this.sessions(), this.clock);
  }
}

const mark = new StickyMark();
const request = requestHead();

describe("by source", () => {
  test("a client stays with the endpoint chosen first, in every worker", () => {
    const shared = new Shared();
    const [one, two] = [shared.bySource(), shared.bySource()];
    expect(one.recall(mark, request, parseIp("192.0.2.1"))).toBe(-1);
    one.chosen(mark, 2, false);
    expect(one.recall(mark, request, parseIp("192.0.2.1"))).toBe(2);
    expect(two.recall(mark, request, parseIp("192.0.2.1"))).toBe(2);
    expect(two.recall(mark, request, parseIp("192.0.2.2"))).toBe(-1);
  });

  test("a retry within the request moves it again, and so does an endpoint that is gone", () => {
    const shared = new Shared();
    const sticky = shared.bySource();
    sticky.recall(mark, request, parseIp("192.0.2.1"));
    sticky.chosen(mark, 2, false);
    sticky.chosen(mark, 0, false);
    expect(sticky.recall(mark, request, parseIp("192.0.2.1"))).toBe(0);
    const later = shared.bySource(["b:1", "c:1"]);
    expect(later.recall(mark, request, parseIp("192.0.2.1"))).toBe(-1);
    later.chosen(mark, 1, false);
    expect(later.recall(mark, request, parseIp("192.0.2.1"))).toBe(1);
    expect(shared.bySource().recall(mark, request, parseIp("192.0.2.1"))).toBe(2);
  });

  test("an endpoint that was only full keeps it", () => {
    const sticky = new Shared().bySource();
    sticky.recall(mark, request, parseIp("192.0.2.1"));
    sticky.chosen(mark, 2, false);
    sticky.recall(mark, request, parseIp("192.0.2.1"));
    sticky.chosen(mark, 0, true);
    expect(sticky.recall(mark, request, parseIp("192.0.2.1"))).toBe(2);
  });

  test("it is forgotten when it has not been used for the ttl, and no sooner", () => {
    const shared = new Shared();
    const sticky = shared.bySource();
    sticky.recall(mark, request, parseIp("192.0.2.1"));
    sticky.chosen(mark, 2, false);
    for (let k = 0; k < 3; k++) {
      shared.clock.cachedMs += 9 * minute;
      expect(sticky.recall(mark, request, parseIp("192.0.2.1"))).toBe(2);
      sticky.chosen(mark, 2, false);
    }
    shared.clock.cachedMs += 10 * minute + 1000;
    expect(sticky.recall(mark, request, parseIp("192.0.2.1"))).toBe(-1);
  });

  test("clients without an address have no session", () => {
    const sticky = new Shared().bySource();
    expect(sticky.recall(mark, request, null)).toBe(-1);
    sticky.chosen(mark, 1, false);
    expect(sticky.recall(mark, request, null)).toBe(-1);
  });

  test("an IPv6 client is known by its network, an IPv4 client in IPv6 clothes by its address", () => {
    const sticky = new Shared().bySource();
    sticky.recall(mark, request, parseIp("2001:db8:1:2:3:4:5:6"));
    sticky.chosen(mark, 1, false);
    expect(sticky.recall(mark, request, parseIp("2001:db8:1:2::1"))).toBe(1);
    expect(sticky.recall(mark, request, parseIp("2001:db8:1:3::1"))).toBe(-1);
    sticky.recall(mark, request, parseIp("192.0.2.1"));
    sticky.chosen(mark, 2, false);
    expect(sticky.recall(mark, request, parseIp("::ffff:192.0.2.1"))).toBe(2);
  });
});

describe("by the application's cookie", () => {
  const withCookie = (value: string): ReturnType<typeof requestHead> => requestHead(`Cookie: a=1; JSESSIONID=${value}`);
  const learn = (sticky: AppCookieStickiness, index: number, line: string): void => {
    sticky.recall(mark, request);
    sticky.answered(mark, index, false, responseHead(line));
  };

  test.each([
    ["Set-Cookie: JSESSIONID=abc; Path=/; HttpOnly", "abc"],
    ["Set-Cookie: JSESSIONID=abc", "abc"],
    ["set-cookie:JSESSIONID=abc \t; Secure", "abc"],
    ['Set-Cookie: JSESSIONID="a=b"; Path=/', '"a=b"'],
  ])("%s is learned", (line, value) => {
    const shared = new Shared();
    learn(shared.byCookie(), 1, line);
    expect(shared.byCookie().recall(mark, withCookie(value))).toBe(1);
    expect(shared.byCookie().recall(mark, withCookie(`${value}x`))).toBe(-1);
  });

  test.each([
    ["Set-Cookie: JSESSIONID=; Max-Age=0", ""],
    ["Set-Cookie: jsessionid=abc", "abc"],
    ["Set-Cookie: XJSESSIONID=abc", "abc"],
    ["Set-Cookie: JSESSIONIDX=abc", "abc"],
    ["Set-Cookie: a=1; JSESSIONID=abc", "abc"],
    ["Set-Cookie: JSESSIONID", "abc"],
    ["Set-Cookie:", "abc"],
    ["Cookie: JSESSIONID=abc", "abc"],
  ])("%s is not", (line, value) => {
    const shared = new Shared();
    learn(shared.byCookie(), 1, line);
    expect(shared.byCookie().recall(mark, withCookie(value))).toBe(-1);
  });

  test("values that only stand in requests are not learned", () => {
    const sticky = new Shared().byCookie();
    sticky.recall(mark, withCookie("made-up"));
    sticky.answered(mark, 1, false, responseHead());
    expect(sticky.recall(mark, withCookie("made-up"))).toBe(-1);
  });

  test("a session whose endpoint is lost belongs to whoever answers; one whose endpoint was full stays", () => {
    const shared = new Shared();
    learn(shared.byCookie(), 1, "Set-Cookie: JSESSIONID=abc");
    const sticky = shared.byCookie();
    expect(sticky.recall(mark, withCookie("abc"))).toBe(1);
    sticky.answered(mark, 0, true, responseHead());
    expect(sticky.recall(mark, withCookie("abc"))).toBe(1);
    sticky.answered(mark, 0, false, responseHead());
    expect(sticky.recall(mark, withCookie("abc"))).toBe(0);
    const later = shared.byCookie(["c:1"]);
    expect(later.recall(mark, withCookie("abc"))).toBe(-1);
    later.answered(mark, 0, false, responseHead());
    expect(shared.byCookie().recall(mark, withCookie("abc"))).toBe(2);
  });

  test("a new session begun by an answer leaves the old one as it was", () => {
    const sticky = new Shared().byCookie();
    learn(sticky, 1, "Set-Cookie: JSESSIONID=abc");
    sticky.recall(mark, withCookie("abc"));
    sticky.answered(mark, 1, true, responseHead("Set-Cookie: x=1", "Set-Cookie: JSESSIONID=def", "Set-Cookie: y=2"));
    expect(sticky.recall(mark, withCookie("abc"))).toBe(1);
    expect(sticky.recall(mark, withCookie("def"))).toBe(1);
  });

  test("of several cookies of the name in a request the first known one counts", () => {
    const sticky = new Shared().byCookie();
    learn(sticky, 1, "Set-Cookie: JSESSIONID=abc");
    expect(sticky.recall(mark, requestHead("Cookie: JSESSIONID=old; JSESSIONID=abc"))).toBe(1);
    expect(sticky.recall(mark, requestHead("Cookie: JSESSIONID=old", "Cookie: JSESSIONID=abc"))).toBe(1);
    expect(sticky.recall(mark, requestHead(`Cookie: ${"JSESSIONID=old; ".repeat(8)}JSESSIONID=abc`))).toBe(-1);
  });
});

test("nothing a client or an endpoint sends makes it throw, or makes up an endpoint", () => {
  const seed = (Math.random() * 2 ** 32) >>> 0;
  const rng = seededRng(seed);
  const shared = new Shared();
  const sticky = shared.byCookie();
  const pieces = ["JSESSIONID", "=", ";", " ", "x", '"', ",", "\u00e9", "A".repeat(300)];
  const text = (): string => Array.from({ length: rng.below(9) }, () => pieces[rng.below(pieces.length)]!).join("");
  for (let step = 0; step < 1000; step++) {
    const index = sticky.recall(mark, requestHead(`Cookie: ${text()}`));
    expect(index, `seed ${seed} step ${step}`).toBeGreaterThanOrEqual(-1);
    expect(index, `seed ${seed} step ${step}`).toBeLessThan(3);
    sticky.answered(mark, rng.below(3), rng.below(2) === 0 && index >= 0, responseHead(`Set-Cookie: ${text()}`));
  }
});

test("the bench runs", () => expect(bench(100)).toBeGreaterThan(0));
