// What rewriting makes of targets and hosts, and what no value can make of them.

import { describe, expect, test } from "bun:test";
import { Scratch } from "../base/bytes.ts";
import { targetBytesMax } from "../base/limits.ts";
import { seededRng } from "../base/seeded-rng.ts";
import { compilePathRules } from "../route/path.ts";
import { seeRequest } from "../wire/h1/test-kit.ts";
import { HeadFlag } from "../wire/head.ts";
import { bench } from "./actions.bench.ts";
import { Rewrite } from "./rewrite.ts";
import { factsOf, wildTarget, wildText, wildValue } from "./test-facts.ts";
import { requestHead, sentHead } from "./test-kit.ts";

const normal = compilePathRules({ mode: "normalize", slashes: "merge", encodedSlashes: "refuse" });
const nothing = new Scratch(8);

/** The target as it goes out; null if the rewrite refuses. */
function targetOf(path: string, to: string, target: string, rules = normal): string | null {
  const head = requestHead(`GET ${target} HTTP/1.1\nHost: h\nX-A: a?b c\nX-Dots: ../..`);
  const facts = factsOf(head, { source: "192.0.2.1" }, null, rules);
  if (!new Rewrite({ path, to, host: null }).apply(head, facts)) return null;
  return /^GET (.*) HTTP\/1\.1\nHost: h\n/.exec(sentHead(head, nothing))![1]!;
}

describe("path", () => {
  test.each([
    ["^/v1/(.*)$", "/$1", "/v1/users/7", "/users/7"],
    ["^/v1/(.*)$", "/$1", "/v1/", "/"],
    ["^/v1(/.*)?$", "$1", "/v1", "/"],
    ["^/(\\w+)/(\\w+)", "/$2/$1", "/a/b/c?q=1", "/b/a/c?q=1"],
    ["/old/", "/new/", "/x/old/y/old/z", "/x/new/y/old/z"],
    ["\\.php$", "", "/a/index.php", "/a/index"],
    ["^/$", "/start?lang=en", "/?x=1", "/start?lang=en"],
    ["^/a", "/b?c", "/a/rest?x=1", "/b/rest?c"],
    ["^/a", "/b?c&{query}", "/a/rest?x=1", "/b/rest?c&x=1"],
    ["^/a$", "/b?{query}", "/a", "/b"],
    ["^/a$", "/b?", "/a?x=1", "/b"],
    ["^.*$", "/gate{uri}", "/a?x=1", "/gate/a?x=1"],
    ["^.*$", "/$$0$0$9", "/a", "/$0/a"],
    ["^/(.*)$", "/{source}/{host}/$1", "/a", "/192.0.2.1/h/a"],
    ["^/(.*)$", "/{header.x-a}/$1", "/a?q", "/a%3Fb%20c/a?q"],
    ["^/a$", "/ö b", "/a", "/%C3%B6%20b"],
    ["^/a$", "b", "/a", "/b"],
    ["^/nomatch", "/x", "/a?b", "/a?b"],
    ["^/a/b$", "/c", "/a/x/../b?q", "/c?q"],
    ["^/z", "/c", "/a//b", "/a//b"],
  ])("%s -> %s: %s becomes %s", (path, to, target, result) => expect(targetOf(path, to, target)).toBe(result));

  test("groups of another expression are not seen", () => {
    expect(targetOf("(.)(.)(.)", "/$3", "/ab")).toBe("/b");
    expect(targetOf("(.)", "/$3$2$1", "/ab")).toBe("/ab");
  });

  test("an absolute form and OPTIONS *", () => {
    expect(targetOf("^/$", "/x", "http://h")).toBe("/x");
    expect(targetOf("^/$", "/x", "http://h?q")).toBe("/x?q");
    const head = requestHead("OPTIONS * HTTP/1.1\nHost: h");
    expect(new Rewrite({ path: "", to: "/x", host: null }).apply(head, factsOf(head))).toBe(true);
    expect(sentHead(head, nothing)).toStartWith("OPTIONS * HTTP/1.1\n");
  });

  test("no dot segment comes about, in whatever spelling", () => {
    expect(targetOf("^/x(.*)$", "/y/$1", "/x../z")).toBeNull();
    expect(targetOf("^/x", "/y/", "/x..")).toBeNull();
    expect(targetOf("^/x", "/y/.", "/x./z")).toBeNull();
    expect(targetOf("^/x", "/y/%2E", "/x.;a=b/z")).toBeNull();
    expect(targetOf("^/x", "/y/..%3b", "/x/z")).toBeNull();
    expect(targetOf("^/x", "/y%2F..%5c", "/x/z")).toBeNull();
    expect(targetOf("^/x", "/y/{header.x-dots}", "/x")).toBeNull();
    expect(targetOf("^/x(.*)$", "/y/$1", "/x...")).toBe("/y/...");
    expect(targetOf("^/x", "/y/", "/x.a/b.")).toBe("/y/.a/b.");
    expect(targetOf("^/x", "/y", "/x?a=/../b")).toBe("/y?a=/../b");
  });

  test("dot segments that the listener lets pass are not the rewrite's doing", () => {
    const raw = compilePathRules({ mode: "raw", slashes: "keep", encodedSlashes: "keep" });
    expect(targetOf("^/x", "/y", "/x/../z", raw)).toBe("/y/../z");
    expect(targetOf("^//x", "//y", "//x//z", raw)).toBe("//y//z");
    expect(targetOf("b$", "c", "//x/b", raw)).toBe("//x/c");
  });

  test("two slashes at the beginning, that might pass for a host, come about no more than those", () => {
    expect(targetOf("^/x(.*)$", "/$1", "/x/evil.example/")).toBe("/evil.example/");
    expect(targetOf("^/x", "///", "/x/a")).toBe("/a");
    expect(targetOf("^/x", "/a//", "/x/a")).toBe("/a///a");
  });

  test("a target as long as one may be is sent, a longer one is not", () => {
    const fits = "a".repeat(targetBytesMax - 3);
    expect(targetOf("^/", "/b/", `/${fits}`)).toBe(`/b/${fits}`);
    expect(targetOf("^/", "/bb/", `/${fits}`)).toBeNull();
  });

  test("an expression that cannot be compiled throws", () => {
    expect(() => new Rewrite({ path: "(", to: "/", host: null })).toThrow('rewrite "("');
  });
});

describe("host", () => {
  const hostOf = (host: string, request = "GET /a HTTP/1.1\nX-T: t1\nHost: Old"): string | null => {
    const head = requestHead(request);
    if (!new Rewrite({ path: null, to: "", host }).apply(head, factsOf(head, { "tls.sni": "a\r\nb c" }))) return null;
    expect(sentHead(head, nothing)).toStartWith("GET /a HTTP/1.1\nHost: ");
    return /^Host: (.*)$/m.exec(sentHead(head, nothing))![1]!;
  };
  test.each([
    ["internal.example", "internal.example"],
    ["{header.x-t}.internal:8080", "t1.internal:8080"],
    ["new-{host}", "new-old"],
    ["[::1]:80", "[::1]:80"],
    ["{header.none}", null],
    ["{tls.sni}", null],
    ["{path}", null],
  ])("%s becomes %p", (host, result) => expect(hostOf(host)).toBe(result));
  test("the client's is gone, also where it came in the target, or not at all", () => {
    const head = requestHead("GET http://old/a HTTP/1.1\nHost: old\nA: 1");
    new Rewrite({ path: null, to: "", host: "new" }).apply(head, factsOf(head));
    expect(sentHead(head, nothing)).toBe("GET /a HTTP/1.1\nHost: new\nA: 1\n\n");
    expect(hostOf("new", "GET /a HTTP/1.0\nA: 1")).toBe("new");
  });
  test("path and host together", () => {
    const head = requestHead("GET /a/b?q HTTP/1.1\nHost: old");
    new Rewrite({ path: "^/a", to: "", host: "new" }).apply(head, factsOf(head));
    expect(sentHead(head, nothing)).toBe("GET /b?q HTTP/1.1\nHost: new\n\n");
    expect(head.flags & (HeadFlag.NewHost | HeadFlag.NewTarget)).toBe(HeadFlag.NewHost | HeadFlag.NewTarget);
  });
});

test("whatever the values are, what is sent is one request with one Host and no dot segments", () => {
  const seed = 77;
  const rng = seededRng(seed);
  const pick = <T>(list: readonly T[]): T => list[rng.below(list.length)]!;
  const paths = ["^/(.*)$", "/", ".", "^.*$", "(a)|(b)", "[^/]+$", ""];
  const bits = [
    "/",
    "$1",
    "$0",
    "{path}",
    "{query}",
    "{query.q}",
    "{header.q}",
    "{cookie.q}",
    "{tls.sni}",
    "?",
    "..",
    "x",
  ];
  const some = (): string => Array.from({ length: 1 + rng.below(4) }, () => pick(bits)).join("");
  let sent = 0;
  for (let round = 0; round < 1500; round++) {
    const config = { path: pick(paths), to: some(), host: pick([null, "h.{tls.sni}", "{header.q}", "{query.q}"]) };
    const target = `/${wildTarget(rng, rng.below(9)).replaceAll(/%(?!41)|[?\\/.]/g, "a")}?q=${wildTarget(rng, 5)}`;
    const head = requestHead(
      `GET ${target} HTTP/1.1\nHost: h\nQ: ${wildValue(rng, rng.below(5))}\nCookie: q=${wildValue(rng, rng.below(5))}`,
    );
    const facts = factsOf(head, { "tls.sni": wildText(rng, rng.below(5)) }, null, normal);
    if (!new Rewrite(config).apply(head, facts)) continue;
    sent++;
    const seen = seeRequest(sentHead(head, nothing).replaceAll("\n", "\r\n"));
    const where = `seed ${seed}, round ${round}: ${JSON.stringify([config, target, seen])}`;
    if (seen.verdict !== "ok" || !seen.target.startsWith("/") || seen.target.startsWith("//")) throw new Error(where);
    if (seen.fields.length !== 3 || seen.fields.filter((field) => field.name === "Host").length !== 1) {
      throw new Error(where);
    }
    const path = seen.target.replace(/\?.*$/, "").replaceAll("\\", "/");
    if (path.split("/").some((segment) => /^\.\.?(?:;.*)?$/.test(segment))) throw new Error(where);
  }
  expect(sent).toBeGreaterThan(500);
});

test("the bench runs", () => {
  for (const each of Object.values(bench(100))) expect(each).toBeGreaterThan(0);
});
