// The JSON Schema of the configuration, from the same model that checks it: what `sluice schema` prints and editors
// read. Draft 7, because that is what yaml-language-server knows best.

import * as z from "zod";
import type { KeyPlaces } from "./explain.ts";
import { notes } from "./fields.ts";
import { configSchema } from "./schema.ts";

/** The parts of a JSON Schema that are looked at here. */
export interface JsonSchema {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly additionalProperties?: JsonSchema | boolean;
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
  readonly required?: readonly string[];
}

/** One key of the configuration. */
export interface KeyEntry {
  /** "listeners.*.limits.headBytes"; * is a name, [] an entry of a list. */
  readonly path: string;
  readonly key: string;
  /** The path of the map it belongs to; "" for the top. */
  readonly place: string;
  readonly schema: JsonSchema;
}

let schema: JsonSchema | null = null;

/** The schema; made once. */
export function jsonSchema(): JsonSchema {
  schema ??= {
    ...(z.toJSONSchema(configSchema, {
      io: "input",
      target: "draft-7",
      unrepresentable: "any", // functions of hooks: a file that is checked by a JSON Schema has none
      override: ({ zodSchema, jsonSchema: made }) => {
        const byDefault = notes.get(zodSchema)?.byDefault;
        if (byDefault !== undefined) (made as { default?: unknown }).default = byDefault;
      },
    }) as JsonSchema),
    ...{ title: "Sluice configuration" },
  };
  return schema;
}

/** Every key of every map, in the order of the model. */
export function schemaKeys(): readonly KeyEntry[] {
  const entries: KeyEntry[] = [];
  const seen = new Set<string>();
  const visit = (node: JsonSchema, place: string): void => {
    for (const [key, child] of Object.entries(node.properties ?? {})) {
      const path = place === "" ? key : `${place}.${key}`;
      if (seen.has(path)) continue;
      seen.add(path);
      entries.push({ path, key, place, schema: child });
      visit(child, path);
    }
    if (typeof node.additionalProperties === "object") visit(node.additionalProperties, `${place}.*`);
    if (node.items !== undefined) visit(node.items, `${place}[]`);
    for (const option of node.anyOf ?? []) {
      // Of "one map, or a list of such maps" the map has said it all.
      const listed = Object.keys(option.items?.properties ?? {});
      if (listed.length === 0 || !listed.every((key) => seen.has(`${place}.${key}`))) visit(option, place);
    }
  };
  visit(jsonSchema(), "");
  return entries;
}

let places: Map<string, readonly string[]> | null = null;
/** A key that belongs in more maps than this says little about where it was meant to be. */
const PLACES_MAX = 3;

/** Where each key belongs, for keys that belong in few maps. */
export function keyPlaces(): KeyPlaces {
  if (places !== null) return places;
  const all = new Map<string, string[]>();
  for (const { key, place } of schemaKeys())
    all.set(key, [...(all.get(key) ?? []), place === "" ? "the top level" : place]);
  for (const [key, list] of all) if (list.length > PLACES_MAX) all.delete(key);
  places = all;
  return all;
}
