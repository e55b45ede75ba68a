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

const CONFIGS = 40;
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

test("a default that is written out changes nothing", () => {
  const bare = {
    listeners: { web: { bind: "127.0.0.1:80", routes: [{ forward: "app", timeouts: {} }], timeouts: {}, limits: {} } },
    pools: {
      app: {
        endpoints: [{ address: "a:1" }],
        health: { expect: {} },
        passive: {},
        keepAlive: {},
        queue: {},
        resolve: {},
      },
    },
    admin: {},
    accessLog: {},
    log: {},
    timeouts: {},
  };
  const written = structuredClone(bare);
  let count = 0;
  for (const { path, schema } of schemaKeys()) {
    // Options of single algorithms cannot all be written at once.
    if (schema.default === undefined || path.startsWith("pools.*.balance.")) continue;
    const parts = path
      .replace("listeners.*", "listeners.web")
      .replace("pools.*", "pools.app")
      .replace("[]", ".0")
      .split(".");
    let at: unknown = written;
    for (const part of parts.slice(0, -1)) at = (at as Record<string, unknown>)[part];
    const last = parts.at(-1)!;
    if (at === undefined || Object.hasOwn(at as object, last)) continue;
    (at as Record<string, unknown>)[last] = schema.default;
    count++;
  }
  expect(count).toBeGreaterThan(40);
  const loaded = loadValue(written, "written");
  expect(loaded.diagnostics).toEqual([]);
  expect(loaded.config).toEqual(loadValue(bare, "bare").config);
});

test("every key of the JSON Schema is described", () => {
  const keys = schemaKeys();
  expect(keys.length).toBeGreaterThan(70);
  expect(keys.filter(({ schema }) => (schema.description ?? "").length < 10)).toEqual([]);
  expect(jsonSchema()).toMatchObject({ $schema: "http://json-schema.org/draft-07/schema#", type: "object" });
  // Unknown keys are mistakes in the editor, too.
  expect(jsonSchema().additionalProperties).toBe(false);
});
