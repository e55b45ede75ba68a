// The commands check, schema and limits as functions of arguments and a made-up world.

import { describe, expect, test } from "bun:test";
import { limits as allLimits } from "../base/limits.ts";
import { loadText } from "../config/load.ts";
import type { AdminConfig } from "../model/config.ts";
import { check, command, type CheckWorld } from "./check.ts";
import type { Io } from "./command.ts";
import { command as limits } from "./limits.ts";
import { command as schema } from "./schema.ts";

interface Session {
  readonly io: Io;
  out: string;
  err: string;
}

function session(color = false): Session {
  const s: Session = {
    out: "",
    err: "",
    io: {
      out: (text) => void (s.out += text),
      err: (text) => void (s.err += text),
      color,
      env: {},
      cwd: "/",
    },
  };
  return s;
}

const good = `listeners:
  web: { bind: 127.0.0.1:80, forward: app }
pools:
  app: { endpoints: ["a:1", "b:1"] }
`;

function world(files: Readonly<Record<string, string>>, fetchConfig?: CheckWorld["fetchConfig"]): CheckWorld {
  return {
    files: {
      readBytes(path) {
        const text = files[path];
        if (text === undefined) throw new Error(`cannot read ${path}: no such file`);
        return new TextEncoder().encode(text);
      },
      importDefault: () => Promise.resolve({ value: { listeners: {}, pools: {} }, hooks: null }),
    },
    exists: (path) => path in files,
    fetchConfig: fetchConfig ?? (() => Promise.reject(new Error("nothing listens on http://127.0.0.1:9900"))),
  };
}

describe("check", () => {
  test("files of endpoints are looked at; what is wrong with them is a warning", async () => {
    const text = `${good}  more: { discovery: [{ from: file, path: a.yaml }, { from: file, path: b.json }] }\n`;
    const sound = session();
    expect(
      await check(["my.yaml"], sound.io, world({ "my.yaml": text, "a.yaml": "[10.0.0.1:80]", "b.json": "[]" })),
    ).toBe(0);
    expect(sound.out).toContain("my.yaml is valid: 1 listener, 2 pools, 2 endpoints; 1 warning\n");
    const broken = session();
    expect(
      await check(["my.yaml"], broken.io, world({ "my.yaml": text, "a.yaml": "- 10.0.0.1:80\n- nowhere\n" })),
    ).toBe(0);
    expect(broken.out).toContain('a.yaml:2:3: warning: [1]: "nowhere" has no port');
    expect(broken.out).toContain("b.json: warning: cannot read b.json: no such file");
    expect(broken.out).toContain("my.yaml is valid: 1 listener, 2 pools, 2 endpoints; 3 warnings");
  });

  test("--test plays the tests of the file, and asks nobody", async () => {
    const routes = "routes: [{ name: old, match: { path: /old }, redirect: /new }, { forward: app }]";
    const text = `listeners: { web: { bind: "127.0.0.1:80", ${routes} } }
pools: { app: { endpoints: ["a:1"] } }
tests:
  - { request: /x, expect: { pool: app, route: "1", path: /x, host: localhost, headers: { cookie: false } } }
  - { name: moved, request: POST http://h/old, expect: { location: /newer, status: 302, pool: app } }
  - { request: { url: /x, headers: { host: "a b" } }, expect: { status: 400, host: a } }
`;
    const files = { "my.yaml": text, "good.yaml": good };
    const s = session();
    expect(await check(["--test", "my.yaml"], s.io, world(files))).toBe(1);
    expect(s.out).toBe(`my.yaml is valid: 1 listener, 1 pool, 1 endpoint
ok     GET /x
FAILED moved
        pool: expected app, found 302 to /new
        location: expected /newer, found 302 to /new
        route old takes it
FAILED GET /x
        host: expected a, found 400: it is no request that HTTP allows
        no route takes it
3 tests: 1 passed, 2 failed
`);
    const json = session();
    expect(await check(["--test", "--json", "my.yaml"], json.io, world(files))).toBe(1);
    expect(JSON.parse(json.out)).toMatchObject({ running: null, tests: [{ passed: true }, { passed: false }, {}] });
    const none = session();
    expect(await check(["--test", "good.yaml"], none.io, world(files))).toBe(0);
    expect(none.out).toEndWith("there are no tests in it\n");
  });

  test("a valid file", async () => {
    const s = session();
    expect(await check(["my.yaml"], s.io, world({ "my.yaml": good }))).toBe(0);
    expect(s.out).toBe(
      "my.yaml is valid: 1 listener, 1 pool, 2 endpoints\n" +
        "not compared with a running instance: nothing listens on http://127.0.0.1:9900\n",
    );
  });

  test("mistakes with line, caret and hint, and a count", async () => {
    const s = session();
    const text = good.replace("forward: app", "foward: app").replace('["a:1", "b:1"]', '["a"]');
    expect(await check(["--offline", "my.yaml"], s.io, world({ "my.yaml": text }))).toBe(1);
    expect(s.out).toBe(`my.yaml:2:30: error: listeners.web.foward: unknown key "foward"
    2 |   web: { bind: 127.0.0.1:80, foward: app }
      |                              ^
    hint: did you mean forward
my.yaml:4:22: error: pools.app.endpoints[0]: "a" has no port
    4 |   app: { endpoints: ["a"] }
      |                      ^
    hint: write a:80
my.yaml: 2 errors
`);
  });

  test("colours only where they are wanted, and no control bytes from the file", async () => {
    const escape = String.fromCodePoint(27);
    const files = { "my.yaml": `x: "${escape}[31m"\n` };
    const plain = session();
    await check(["my.yaml"], plain.io, world(files));
    expect(plain.out).not.toContain(escape);
    const colored = session(true);
    await check(["my.yaml"], colored.io, world(files));
    expect(colored.out).toContain(`${escape}[31merror`);
    expect(colored.out).not.toContain(`"${escape}[31m"`);
  });

  test("a long line is cut around the mistake", async () => {
    const s = session();
    const hosts = Array.from({ length: 100 }, (_, i) => `h${i}:1, `).join("");
    await check(["x.yaml"], s.io, world({ "x.yaml": `pools: { a: { endpoints: [${hosts}bad] } }\n` }));
    const [line, caret] = s.out.split("\n").slice(1, 3) as [string, string];
    expect(line.length).toBeLessThan(120);
    expect(line.slice(caret.indexOf("^"))).toStartWith("bad");
  });

  test("default files, in their order", async () => {
    const both = session();
    await check([], both.io, world({ "./sluice.yaml": good, "./sluice.config.ts": "" }));
    expect(both.out).toStartWith("./sluice.yaml is valid");
    const script = session();
    await check([], script.io, world({ "./sluice.config.ts": "" }));
    expect(script.out).toContain("./sluice.config.ts is valid: 0 listeners");
    const none = session();
    expect(await check([], none.io, world({}))).toBe(1);
    expect(none.err).toContain("neither ./sluice.yaml nor ./sluice.config.ts");
  });

  test("a file that cannot be read", async () => {
    const s = session();
    expect(await check(["none.yaml"], s.io, world({}))).toBe(1);
    expect(s.out).toBe("none.yaml: error: cannot read none.yaml: no such file\nnone.yaml: 1 error\n");
  });

  test("the running instance is asked with the admin settings of the file", async () => {
    const asked: AdminConfig[] = [];
    const running = loadText(good, "x").config;
    const changed = `admin: { bind: "[::1]:99", token: 0123456789abcdef }\n${good.replace('"b:1"', '"c:1"')}`.replace(
      "token: 0123456789abcdef",
      'token: "0123456789abcdef"',
    );
    const fetchConfig = (admin: AdminConfig): Promise<unknown> => {
      asked.push(admin);
      return Promise.resolve({ generation: 1, config: running });
    };
    const s = session();
    expect(await check(["x.yaml"], s.io, world({ "x.yaml": changed }, fetchConfig))).toBe(0);
    expect(asked).toEqual([{ bind: { ip: "::1", port: 99, unixPath: null }, token: "0123456789abcdef" }]);
    expect(s.out).toEndWith(`the running instance would change:
  ~ settings: admin.bind: 127.0.0.1:9900 -> [::1]:99, admin.token: added
  - endpoint app/b:1
  + endpoint app/c:1
`);
    const same = session();
    await check(["x.yaml"], same.io, world({ "x.yaml": good }, fetchConfig));
    expect(same.out).toEndWith("the running instance would not change\n");
  });

  test("answers that are no configuration", async () => {
    for (const [body, why] of [
      [{ hello: 1 }, "is not Sluice"],
      [null, "is not Sluice"],
      [{ config: { listeners: [{}], pools: [] } }, "of another version"],
    ] as const) {
      const s = session();
      expect(
        await check(
          ["x.yaml"],
          s.io,
          world({ "x.yaml": good }, () => Promise.resolve(body)),
        ),
      ).toBe(0);
      expect(s.out).toContain(why);
    }
  });

  test("an invalid file or --offline asks nobody", async () => {
    const fetchConfig = (): Promise<unknown> => Promise.reject(new Error("asked"));
    for (const [args, text] of [
      [["x.yaml"], "workers: x"],
      [["--offline", "x.yaml"], good],
      [["x.yaml"], `admin: off\n${good}`],
    ] as const) {
      const s = session();
      await check(args, s.io, world({ "x.yaml": text }, fetchConfig));
      expect(s.out).not.toContain("asked");
    }
  });

  test("JSON", async () => {
    const s = session();
    expect(await check(["--json", "x.yaml"], s.io, world({ "x.yaml": "workers: x\n" }))).toBe(1);
    expect(JSON.parse(s.out)).toMatchObject({
      file: "x.yaml",
      valid: false,
      diagnostics: [{ severity: "error", path: "workers", at: { line: 1, column: 10 } }],
      running: null,
    });
  });

  test("wrong command lines", async () => {
    for (const args of [["--ofline"], ["a", "b"], ["--json=1"]]) {
      const s = session();
      expect(await check(args, s.io, world({}))).toBe(2);
      expect(s.err).toContain("usage: sluice check");
    }
    const s = session();
    expect(await check(["--help"], s.io, world({}))).toBe(0);
    expect(s.out).toContain(command.summary);
  });
});

describe("schema and limits", () => {
  test("schema prints a JSON Schema", async () => {
    const s = session();
    expect(await schema.run([], s.io)).toBe(0);
    expect(JSON.parse(s.out)).toMatchObject({ type: "object", properties: { pools: { type: "object" } } });
    expect(await schema.run(["x"], session().io)).toBe(2);
  });

  test("limits lists every bound, and those of the configuration", async () => {
    const s = session();
    expect(await limits.run([], s.io)).toBe(0);
    for (const { name, value, unit } of allLimits) expect(s.out).toMatch(new RegExp(`\\b${name} +${value} ${unit}`));
    expect(s.out).toMatch(/listeners\.\*\.limits\.headBytes +64k/);
    const json = session();
    expect(await limits.run(["--json"], json.io)).toBe(0);
    const parsed = JSON.parse(json.out) as { readonly fixed: unknown[]; readonly configurable: unknown[] };
    expect(parsed.fixed.length).toBe(allLimits.length);
    expect(parsed.configurable.length).toBeGreaterThan(20);
  });
});
