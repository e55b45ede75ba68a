// Random sound configurations come back unchanged through YAML in several styles, through JSON and through a TypeScript
// object.

import { expect, test } from "bun:test";
import { stringify } from "yaml";
import { seededRng } from "../base/seeded-rng.ts";
import { hasErrors } from "../model/diagnostic.ts";
import { loadText, loadValue, type Loaded } from "./load.ts";
import { sampleConfig } from "./sample-config.ts";
import { typeOut } from "./type-out.ts";
import { jsonSchema, schemaKeys } from "./json-schema.ts";

const CONFIGS = 25;
const seed = Number(process.env["SLUICE_SEED"] ?? 4711);

test(`random configurations, seed ${seed}`, () => {
  const rng = seededRng(seed);
  for (let n = 0; n < CONFIGS; n++) {
    const config = sampleConfig(rng);
    const typed = typeOut(config, n % 2 === 0 ? "short" : "long");
    const same = (loaded: Loaded, text: string): void => {
      if (hasErrors(loaded.diagnostics)) throw new Error(`${JSON.stringify(loaded.diagnostics, null, 1)}\n${text}`);
      expect(loaded.config).toEqual(config);
    };
    same(loadValue(typed, "sluice.config.ts"), "");
    const texts = [
      stringify(typed),
      stringify(typed, {
        indent: 4,
        defaultStringType: "QUOTE_SINGLE",
        defaultKeyType: "PLAIN",
        aliasDuplicateObjects: true,
      }),
      stringify(typed, { collectionStyle: "flow" }),
      JSON.stringify(typed, null, "  "),
      `\uFEFF# a comment\r\n${stringify(typed).replaceAll("\n", "\r\n")}`,
    ];
    for (const text of texts) same(loadText(text, "sluice.yaml"), text);
  }
});

/** Something that every map of the model hangs on. */
const bare = {
  listeners: {
    web: {
      bind: "127.0.0.1:80",
      paths: {},
      access: {},
      timeouts: {},
      limits: {},
      routes: [
        {
          match: { path: "/a" },
          forward: [{ pool: "app" }, { pool: "other" }],
          sticky: {},
          requestHeaders: {},
          responseHeaders: {},
          timeouts: {},
          retry: {},
          rateLimit: { requests: 10 },
          concurrency: { requests: 10 },
          access: {},
          basicAuth: { users: { me: `$2b$12$${"a".repeat(53)}` } },
          forwardAuth: { pool: "app", path: "/" },
          cors: {},
          compress: {},
          mirror: { pool: "other" },
        },
        { match: { path: "/b" }, redirect: { to: "/a" } },
        { match: { path: "/c" }, respond: {} },
        { forward: "app", minRate: { request: "1k", response: "1k" } },
      ],
    },
  },
  pools: {
    app: {
      endpoints: [{ address: "a:1" }],
      health: { expect: {} },
      outlier: { successRate: {} },
      circuit: {},
      passive: {},
      keepAlive: {},
      queue: {},
      resolve: {},
    },
    other: { endpoints: ["a:1"] },
  },
  admin: {},
  accessLog: {},
  log: {},
  timeouts: {},
  tests: [{ request: { url: "/" }, expect: { pool: "app" } }],
};

/** Every map at the place: * is every name, [] every entry. */
function mapsAt(root: unknown, parts: readonly string[]): Record<string, unknown>[] {
  if (typeof root !== "object" || root === null) return [];
  const [first, ...rest] = parts;
  if (first === undefined) return Array.isArray(root) ? [] : [root as Record<string, unknown>];
  if (first === "*" || first === "[]") return Object.values(root).flatMap((value) => mapsAt(value, rest));
  return mapsAt((root as Record<string, unknown>)[first], rest);
}

/** Options of single algorithms and the like cannot all be written at once. */
const notTogether = /^pools\.\*\.(balance|sticky|discovery)\.|\.(request|response|tolerance)$/;

test("a default that is written out changes nothing", () => {
  const written = structuredClone(bare);
  let count = 0;
  for (const { path, place, key, schema } of schemaKeys()) {
    if (schema.default === undefined || notTogether.test(path)) continue;
    for (const at of mapsAt(written, place.replaceAll("[]", ".[]").split(".").filter(Boolean))) {
      if (Object.hasOwn(at, key)) continue;
      at[key] = schema.default;
      count++;
    }
  }
  expect(count).toBeGreaterThan(120);
  const loaded = loadValue(written, "written");
  expect(loaded.diagnostics).toEqual([]);
  expect(loaded.config).toEqual(loadValue(bare, "bare").config);
});

test("every key of the JSON Schema is described", () => {
  const keys = schemaKeys();
  expect(keys.length).toBeGreaterThan(200);
  expect(keys.filter(({ schema }) => (schema.description ?? "").length < 10)).toEqual([]);
  expect(jsonSchema()).toMatchObject({ $schema: "http://json-schema.org/draft-07/schema#", type: "object" });
  // Unknown keys are mistakes in the editor, too.
  expect(jsonSchema().additionalProperties).toBe(false);
});
