// What the files of the schema are written with: keys with their descriptions and defaults, maps, and the few shapes
// that recur.

import * as z from "zod";
import { formatMs } from "../base/duration.ts";
import { OFF } from "../model/config.ts";
import { expecting, list, notes, plainText } from "./fields.ts";
import { booleanHint, mapHint, offHint } from "./hints.ts";

/** An optional key with its description, and its default as the user would write it. */
export function key<T extends z.ZodType>(schema: T, description: string, byDefault?: unknown): z.ZodOptional<T> {
  const optional = schema.optional().meta({ description });
  if (byDefault !== undefined) notes.add(optional, { byDefault });
  return optional;
}

/** A key that must be given. */
export function required<T extends z.ZodType>(schema: T, description: string): T {
  const described = schema.meta({ description });
  const { expects, hint } = notes.get(schema) ?? {};
  return expects === undefined ? described : expecting(described, expects, hint);
}

/** A map with exactly these keys. */
export function map<S extends z.ZodRawShape>(expects: string, shape: S): z.ZodObject<S, z.core.$strict> {
  return expecting(z.strictObject(shape), expects, mapHint);
}

/** Either the word off or something else. */
export function orOff<T extends z.ZodType>(schema: T, expects: string): z.ZodUnion<[z.ZodLiteral<"off">, T]> {
  return expecting(z.union([z.literal("off"), schema]), expects, offHint);
}

/** One value or a list of at least `min` of them. */
export function oneOrMore<T extends z.ZodType>(schema: T, expects: string, min = 1): z.ZodUnion<[T, z.ZodArray<T>]> {
  const { hint } = notes.get(schema) ?? {};
  return expecting(z.union([schema, list(schema, expects, min)]), expects, hint);
}

/** true or false */
export function flag(): z.ZodBoolean {
  return expecting(z.boolean(), "true or false", booleanHint);
}

/** A default duration as the user would write it. */
export const off = (ms: number): string => (ms === OFF ? "off" : formatMs(ms));
/** A default count or size as the user would write it. */
export const unlimited = (n: number): string | number => (n === OFF ? "unlimited" : n);

/** An address block; what it may be is checked on the resolved Config. */
export const cidr = plainText("an address block such as 10.0.0.0/8");
export const cidrList = "a list of address blocks such as 10.0.0.0/8";
