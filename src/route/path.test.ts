// Paths in normal form: tables of nasty ones by mode, and a comparison with the naive normaliser of test-kit.ts.

import { readFileSync } from "node:fs";
import { describe, expect, test } from "bun:test";
import type { Rng } from "../base/ports.ts";
import { seededRng } from "../base/seeded-rng.ts";
import type { PathsConfig } from "../model/route-config.ts";
import { latin1 } from "../wire/h1/tables.ts";
import { compilePathRules, isRefused, normalPathBytes, pathRefusal, PathVerdict } from "./path.ts";
import { allPathsConfigs, headOf, naivePath, paths, prepare } from "./test-kit.ts";

const normal = paths("normalize");
const word = (verdict: PathVerdict): string => Object.entries(PathVerdict).find(([, v]) => v === verdict)![0];

/** The path that comes out, or the name of the refusal. */
function outcome(path: string, config: PathsConfig = normal): string {
  const { verdict, path: made } = prepare(latin1(path), config);
  return isRefused(verdict) ? word(verdict) : made;
}

describe("normalize", () => {
  test.each([
    ["/", "/"],
    ["/a/b.c/~d-e_f", "/a/b.c/~d-e_f"],
    ["/a;v=1/b", "/a;v=1/b"],
    ["/.well-known/x", "/.well-known/x"],
    ["/..a/...", "/..a/..."],
    ["/a/.b/c..", "/a/.b/c.."],
    ["/%20%C3%A9%25", "/%20%C3%A9%25"],
    ["/a!$&'()*+,;=:@b", "/a!$&'()*+,;=:@b"],
    ["/a%40b", "/a%40b"], // reserved characters are not decoded: RFC 3986 2.2
  ])("%s is %s", (path, expected) => {
    expect(prepare(latin1(path), normal)).toMatchObject({ verdict: PathVerdict.Unchanged, path: expected });
  });

  test.each([
    // dot segments
    ["/a/./b", "/a/b"],
    ["/a/../b", "/b"],
    ["/a/b/.", "/a/b/"],
    ["/a/b/..", "/a/"],
    ["/.", "/"],
    ["/..", "/"],
    ["/../../etc/passwd", "/etc/passwd"],
    ["/a/../../../b/", "/b/"],
    ["/a/b/c/./../../g", "/a/g"],
    ["/public/../admin", "/admin"],
    ["/public/./../admin/.", "/admin/"],
    // spelled with escapes
    ["/%2e%2e/admin", "/admin"],
    ["/a/%2E%2e/%2e./.%2E/b", "/b"],
    ["/a/.%2e", "/"],
    ["/%2e/a", "/a"],
    ["/a/%2e%2e%2e", "/a/..."],
    // unreserved characters and capitals
    ["/%61dmin", "/admin"],
    ["/%7euser/%2Dx%5f", "/~user/-x_"],
    ["/%c3%a9%3a", "/%C3%A9%3A"],
    ["/%2a%3f", "/%2A%3F"],
    // slashes
    ["//", "/"],
    ["//a", "/a"],
    ["/a//b///c//", "/a/b/c/"],
    ["//../admin", "/admin"],
    ["/a//../b", "/b"],
    ["/a/.//..//b", "/b"],
    ["/.//admin", "/admin"],
    // bytes that are none of a path
    ["/a|b", "/a%7Cb"],
    ['/[x]{y}"<>^`', "/%5Bx%5D%7By%7D%22%3C%3E%5E%60"],
    ["/caf\xc3\xa9", "/caf%C3%A9"],
    // what is no dot and no slash stays as bytes: overlong UTF-8, full-width letters, two-byte dots
    ["/%c0%ae%c0%ae/admin", "/%C0%AE%C0%AE/admin"],
    ["/\xc0\xae\xc0\xae/admin", "/%C0%AE%C0%AE/admin"],
    ["/%c0%af..%c0%afadmin", "/%C0%AF..%C0%AFadmin"],
    ["/%ef%bc%8e%ef%bc%8e/x", "/%EF%BC%8E%EF%BC%8E/x"],
    ["/%e0%80%af", "/%E0%80%AF"],
  ])("%s becomes %s", (path, expected) => {
    const made = prepare(latin1(path), normal);
    expect(made).toMatchObject({ verdict: PathVerdict.Rewritten, path: expected, target: expected });
  });

  test.each([
    ["/%", PathVerdict.BadEscape],
    ["/%2", PathVerdict.BadEscape],
    ["/%2/e", PathVerdict.BadEscape],
    ["/%zz", PathVerdict.BadEscape],
    ["/%u002e%u002e/", PathVerdict.BadEscape],
    ["/%%32%65", PathVerdict.BadEscape],
    ["/a%2?x", PathVerdict.BadEscape],
    ["/%00", PathVerdict.ControlByte],
    ["/a%0d%0aX:y", PathVerdict.ControlByte],
    ["/%7f", PathVerdict.ControlByte],
    ["/a%1Fb", PathVerdict.ControlByte],
    ["/a%2Fb", PathVerdict.EncodedSlash],
    ["/a%2fb", PathVerdict.EncodedSlash],
    ["/a%5Cb", PathVerdict.EncodedSlash],
    ["/a%5cb", PathVerdict.EncodedSlash],
    ["/a\\b", PathVerdict.EncodedSlash],
    ["/..\\admin", PathVerdict.EncodedSlash],
    ["/..%2fadmin", PathVerdict.EncodedSlash],
    ["/..;/admin", PathVerdict.HiddenDots],
    ["/public/..;x=1/admin", PathVerdict.HiddenDots],
    ["/.;/admin", PathVerdict.HiddenDots],
    ["/%2e%2e;/admin", PathVerdict.HiddenDots],
    ["/..%3b/admin", PathVerdict.HiddenDots],
    ["/%2E.%3B", PathVerdict.HiddenDots],
  ] as const)("%s is refused", (path, verdict) => {
    expect(prepare(latin1(path), normal).verdict).toBe(verdict);
    expect(pathRefusal(verdict)).not.toBe("");
  });

  test("never decodes twice", () => {
    expect(outcome("/%252e%252e/admin")).toBe("/%252e%252e/admin");
    expect(outcome("/%252E%252E%252Fadmin")).toBe("/%252E%252E%252Fadmin");
    expect(outcome("/%25%32%65")).toBe("/%252e");
    expect(outcome("/%2500")).toBe("/%2500");
  });

  test("dots before a semicolon are only those of a whole dot segment", () => {
    for (const path of ["/...;/x", "/a..;/x", "/;/x", "/;..", "/.a;/x", "/..a;"]) expect(outcome(path)).toBe(path);
  });

  test("the query is left alone, and is no part of the path", () => {
    const made = prepare(latin1("/a/../b?x=/../%2e%zz//\\"), normal);
    expect(made).toEqual({
      verdict: PathVerdict.Rewritten,
      path: "/b",
      query: "x=/../%2e%zz//\\",
      target: "/b?x=/../%2e%zz//\\",
    });
    expect(prepare(latin1("/..?/"), normal)).toMatchObject({ path: "/", query: "/", target: "/?/" });
    expect(prepare(latin1("/a?"), normal)).toMatchObject({ path: "/a", query: "", target: "/a?" });
    expect(prepare(latin1("/a?x"), normal)).toMatchObject({ verdict: PathVerdict.Unchanged, path: "/a", query: "x" });
  });

  test("forms without a path", () => {
    const of = (target: string, method = "GET"): unknown => prepare(headOf({ target, method }), normal);
    const unchanged = { verdict: PathVerdict.Unchanged };
    expect(of("http://h")).toMatchObject({ ...unchanged, path: "/", query: "" });
    expect(of("http://h?a=1")).toMatchObject({ ...unchanged, path: "/", query: "a=1" });
    expect(of("http://h", "OPTIONS")).toMatchObject({ ...unchanged, path: "*" });
    expect(of("http://h?a", "OPTIONS")).toMatchObject({ ...unchanged, path: "/", query: "a" });
    expect(of("*", "OPTIONS")).toMatchObject({ ...unchanged, path: "*" });
    expect(of("http://h/a/../b?c")).toMatchObject({ verdict: PathVerdict.Rewritten, path: "/b", target: "/b?c" });
  });

  test("a long path of escapes does not outgrow the scratch", () => {
    expect(outcome(`/${"|".repeat(5000)}`)).toBe(`/${"%7C".repeat(5000)}`);
    expect(outcome(`${"/a/..".repeat(5000)}/x`)).toBe("/x");
    expect(outcome("/a".repeat(2000) + "/..".repeat(1999))).toBe("/a/");
  });
});

describe("options", () => {
  test("slashes: keep and refuse", () => {
    const keep = paths("normalize", "keep");
    expect(outcome("//a//b//", keep)).toBe("//a//b//");
    expect(outcome("/a//../b", keep)).toBe("/a/b");
    expect(outcome("/a/.//b", keep)).toBe("/a//b");
    expect(outcome("//..", keep)).toBe("/");
    expect(outcome("//../admin", keep)).toBe("/admin");
    expect(outcome("/a/..//b", keep)).toBe("//b");
    const refuse = paths("normalize", "refuse");
    for (const path of ["//", "//a", "/a//b", "/a//", "/a/.//b", "/a//../b"]) {
      expect(outcome(path, refuse)).toBe("EmptySegment");
    }
    expect(outcome("/a/./", refuse)).toBe("/a/");
  });

  test("encodedSlashes: keep leaves them escaped, and never takes them for separators", () => {
    const keep = paths("normalize", "merge", "keep");
    expect(outcome("/group%2fproject", keep)).toBe("/group%2Fproject");
    expect(outcome("/a%2F/b", keep)).toBe("/a%2F/b");
    expect(outcome("/a%2F%2fb/../c", keep)).toBe("/c");
    expect(outcome("/a\\b", keep)).toBe("/a%5Cb");
    expect(outcome("/a%5cb", keep)).toBe("/a%5Cb");
    for (const path of ["/..%2fadmin", "/a%2f..", "/a%5C.%5cb", "/a\\..\\b", "/x%2F..;y%2Fz", "/%2e%2e%2Fz"]) {
      expect(outcome(path, keep)).toBe("HiddenDots");
    }
    expect(outcome("/a%2F...%2F.b", keep)).toBe("/a%2F...%2F.b");
    expect(prepare(latin1("/a%2Fb"), keep).verdict).toBe(PathVerdict.Unchanged);
  });

  test("strict takes the normal form only", () => {
    const strict = paths("strict");
    for (const path of ["/", "/a/b", "/a;b", "/%20%2525", "/..a", "/a/"]) expect(outcome(path, strict)).toBe(path);
    for (const path of ["/a/./b", "/a/..", "/%61", "/%c3", "//", "/a|b", "/caf\xe9"]) {
      expect(outcome(path, strict)).toBe("NotNormal");
    }
    expect(outcome("/%zz", strict)).toBe("BadEscape");
    expect(outcome("/..;/", strict)).toBe("HiddenDots");
    expect(outcome("/a%2Fb", strict)).toBe("EncodedSlash");
    expect(outcome("/a%2Fb", paths("strict", "merge", "keep"))).toBe("/a%2Fb");
    expect(outcome("/a%2fb", paths("strict", "merge", "keep"))).toBe("NotNormal");
    expect(outcome("/a//b", paths("strict", "keep"))).toBe("/a//b");
    expect(outcome("/a//b", paths("strict", "refuse"))).toBe("EmptySegment");
  });

  test("raw touches nothing", () => {
    for (const path of ["/a/../b", "//", "/%00%zz", "/..;/", "/a%2f\\", "/\xff"]) {
      expect(prepare(latin1(`${path}?q`), paths("raw"))).toEqual({
        verdict: PathVerdict.Unchanged,
        path,
        query: "q",
        target: `${path}?q`,
      });
    }
  });
});

const pieces = [
  ..."/////....;;ab%\\|?~",
  "%2e",
  "%2E",
  "%2f",
  "%5C",
  "%3b",
  "%25",
  "%00",
  "%41",
  "%c0%ae",
  "\xc3\xa9",
  "..",
  "../",
  "/.",
];

function randomPath(rng: Rng): string {
  let path = "/";
  for (let left = rng.below(10); left > 0; left--) path += pieces[rng.below(pieces.length)]!;
  return path;
}

const seed = Number(process.env["SLUICE_SEED"] ?? 3986);
const runs = Number(process.env["SLUICE_RUNS"] ?? 20_000);

test(`agrees with the naive form, and its results stay as they are, seed ${seed}`, () => {
  const rng = seededRng(seed);
  let refused = 0;
  for (let run = 0; run < runs; run++) {
    const config = allPathsConfigs[rng.below(allPathsConfigs.length)]!;
    const target = randomPath(rng);
    const [path = ""] = target.split("?");
    const made = prepare(latin1(target), config);
    const expected = naivePath(path, config);
    const about = JSON.stringify({ target, config, made });
    if (isRefused(made.verdict) !== (expected === null)) throw new Error(`refused? naive: ${expected}, ${about}`);
    if (expected === null) {
      refused++;
      continue;
    }
    if (made.path !== expected) throw new Error(`${made.path} is not ${expected}: ${about}`);
    if ((made.verdict === PathVerdict.Unchanged) !== (path === expected)) throw new Error(`wrong verdict: ${about}`);
    if (made.target !== expected + target.slice(path.length)) throw new Error(`wrong target: ${about}`);
    const again = prepare(latin1(made.target), config);
    if (again.verdict !== PathVerdict.Unchanged) throw new Error(`the normal form is not normal: ${about}`);
  }
  expect(refused).toBeGreaterThan(runs / 20);
  expect(refused).toBeLessThan((runs * 19) / 20);
}, 3_600_000);

test("paths of the configuration come into the same form", () => {
  const rules = compilePathRules(normal);
  const made = (text: string): string => Buffer.from(normalPathBytes(text, rules)).toString("latin1");
  expect(made("/café d")).toBe("/caf%C3%A9%20d");
  expect(made("/%7euser/%c3%a9/%2f")).toBe("/~user/%C3%A9/%2F");
  expect(made("/100%/%zz?")).toBe("/100%25/%25zz%3F");
  expect(made("/a/../b//")).toBe("/a/../b//");
  expect(Buffer.from(normalPathBytes("/é%7e", compilePathRules(paths("raw")))).toString()).toBe("/é%7e");
});

describe("docs/guide/routing.md", () => {
  const text = readFileSync(new URL("../../docs/guide/routing.md", import.meta.url), "utf8");
  const rows = [...text.matchAll(/^\| `(\/[^`]*)` +\|(.*)\|$/gm)].map((row) => ({
    path: row[1]!,
    cells: row[2]!.split("|").map((cell) => cell.trim().replaceAll("`", "")),
  }));
  const columns: Readonly<Record<number, readonly PathsConfig[]>> = {
    3: [paths("normalize"), paths("strict"), paths("raw")],
    4: [normal, paths("normalize", "keep"), paths("normalize", "refuse"), paths("normalize", "merge", "keep")],
  };

  test.each(rows)("says what becomes of $path", ({ path, cells }) => {
    const made = columns[cells.length]!.map((config) => {
      const { verdict, path: normalPath } = prepare(latin1(path), config);
      return isRefused(verdict) ? "400" : normalPath;
    });
    expect(made).toEqual(cells);
  });

  test("has both tables", () => {
    expect(rows.filter(({ cells }) => cells.length === 3).length).toBeGreaterThan(20);
    expect(rows.filter(({ cells }) => cells.length === 4).length).toBe(5);
  });
});
