// docs/configuration.md against the model: every key has a row in the table of its map, with the default that the model
// has.

import { readFileSync } from "node:fs";
import { expect, test } from "bun:test";
import { placeholders } from "../model/placeholders.ts";
import { schemaKeys } from "./json-schema.ts";

const text = readFileSync(new URL("../../docs/configuration.md", import.meta.url), "utf8");

/** Place -> key -> the cells of its row. Headings name places in backquotes; the top level has a word instead. */
function readTables(): Map<string, Map<string, readonly string[]>> {
  const tables = new Map<string, Map<string, readonly string[]>>();
  let rows = new Map<string, readonly string[]>();
  for (const line of text.split("\n")) {
    if (line.startsWith("#")) rows = new Map();
    if (/^#+ Top level/.test(line)) tables.set("", rows);
    if (/^#+ `/.test(line)) for (const [, place] of line.matchAll(/`([^`]+)`/g)) tables.set(place!, rows);
    const row = /^\| `(\w+)` +\|(.*)\|$/.exec(line);
    if (row !== null)
      rows.set(
        row[1]!,
        row[2]!.split(" | ").map((cell) => cell.trim()),
      );
  }
  return tables;
}

/** A default as the reference writes it. */
function show(value: unknown): string {
  if (Array.isArray(value)) return `\`[${value.join(", ")}]\``;
  return typeof value === "object" ? "`{}`" : `\`${String(value)}\``;
}

test("every key has a row with its default", () => {
  const tables = readTables();
  const missing: string[] = [];
  for (const { path, place, key, schema } of schemaKeys()) {
    const row = tables.get(place)?.get(key);
    if (row === undefined) missing.push(`${path}: no row`);
    else if (schema.default !== undefined && row[1] !== show(schema.default)) {
      missing.push(`${path}: default ${row[1]}, not ${show(schema.default)}`);
    }
  }
  expect(missing).toEqual([]);
});

test("every placeholder has a row", () => {
  const listed = [...text.matchAll(/^\| `\{([\w.]+)\}` +\|/gm)].map((match) => match[1]);
  expect(listed).toEqual(placeholders.map((p) => (p.argument === null ? p.name : `${p.name}.NAME`)));
});

test("no row is about a key that does not exist", () => {
  const known = new Set(schemaKeys().map(({ path }) => path));
  const extra: string[] = [];
  for (const [place, rows] of readTables()) {
    for (const key of rows.keys()) {
      const path = place === "" ? key : `${place}.${key}`;
      if (!known.has(path)) extra.push(path);
    }
  }
  expect(extra).toEqual([]);
});
