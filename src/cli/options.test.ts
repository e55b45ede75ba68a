// The option parser: forms of options, and what it says about wrong ones.

import { expect, test } from "bun:test";
import { parseOptions, type Options } from "./options.ts";

const specs = [{ name: "header", short: "H", takesValue: true }, { name: "json" }];

function parsed(...args: string[]): Options {
  const options = parseOptions(args, specs, 3);
  if (typeof options === "string") throw new Error(options);
  return options;
}

test("options and positionals in any order", () => {
  const options = parsed("GET", "-H", "a: 1", "--json", "--header=b: 2=3", "/x", "--", "--json");
  expect(options.positionals).toEqual(["GET", "/x", "--json"]);
  expect(options.values("header")).toEqual(["a: 1", "b: 2=3"]);
  expect(options.value("header")).toBe("b: 2=3");
  expect(options.has("json")).toBe(true);
  expect(options.has("help")).toBe(false);
  expect(options.value("json")).toBeUndefined();
  expect(parsed("-h").has("help")).toBe(true);
  expect(parsed("-").positionals).toEqual(["-"]);
  expect(parsed("-Ha: 1", "-Hb=2", "-H=c").values("header")).toEqual(["a: 1", "b=2", "c"]);
});

test("what is wrong, in words", () => {
  const complaint = (...args: string[]): unknown => parseOptions(args, specs, 1);
  expect(complaint("--jsn")).toBe("unknown option --jsn; did you mean --json?");
  expect(complaint("--zzzzzzz")).toBe("unknown option --zzzzzzz; there are --header, --json, --help");
  expect(complaint("-x")).toContain("unknown option -x");
  expect(complaint("--header")).toBe("--header needs a value");
  expect(complaint("--json=1")).toBe("--json takes no value");
  expect(complaint("a", "b")).toBe("unexpected argument b");
});
