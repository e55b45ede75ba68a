// The leaf types of the schema: text with a meaning (durations, sizes, addresses …), each with the words by which a
// diagnostic says what was expected, and with the pattern that the JSON Schema shows to editors.

import * as z from "zod";
import { connectionsMax, durationMsMax, headBytesMax } from "../base/limits.ts";
import { formatMs } from "../base/duration.ts";
import { OFF, type BindAddress, type HashKey } from "../model/config.ts";
import {
  fault,
  isFault,
  parseBind,
  parseEndpointAddress,
  parseNameServer,
  type EndpointAddress,
  type Fault,
} from "./address.ts";
import {
  bindHint,
  durationHint,
  keyHint,
  listHint,
  noHint,
  percentHint,
  sizeHint,
  textHint,
  wholeHint,
  type HintFor,
} from "./hints.ts";
import {
  durationPattern,
  formatSize,
  parseDuration,
  parsePercent,
  parseSize,
  percentPattern,
  sizePattern,
} from "./units.ts";

/** "10s". What TypeScript users may write for a duration. */
export type DurationText = `${number}${"ms" | "s" | "m" | "h" | "d"}`;
/** "64k", or a bare number of bytes. */
export type SizeText = `${number}${"k" | "m" | "g"}` | number;
/** "125%" */
export type PercentText = `${number}%`;
/** What a request is hashed by. */
export type HashKeyText = "source" | "path" | "uri" | `${"header" | "cookie" | "query"}:${string}`;

/** What the schema knows beside zod's own metadata. */
export interface Notes {
  /** "a duration such as 10s": what was expected, for diagnostics. */
  readonly expects?: string;
  /** What helps somebody who wrote something else. */
  readonly hint?: HintFor;
  /** The default as the user would write it, for the JSON Schema and the reference. */
  readonly byDefault?: unknown;
}

export const notes = z.registry<Notes>();

/** Says what a schema expects and what helps, for diagnostics. */
export function expecting<T extends z.ZodType>(schema: T, expects: string, hint: HintFor = noHint): T {
  notes.add(schema, { expects, hint });
  return schema;
}

/** Text with a meaning: parse returns the value, or what is wrong, or null if `expects` says it all. */
export function text<T, I extends string>(
  expects: string,
  pattern: string | null,
  parse: (text: string) => T | Fault | null,
  hint: HintFor = noHint,
): z.ZodType<T, I> {
  const source = expecting(pattern === null ? z.string().meta({}) : z.string().meta({ pattern }), expects, hint);
  const meaning = z.transform((given: string, context): T => {
    const value = parse(given);
    if (value !== null && !(typeof value === "object" && isFault(value))) return value;
    context.issues.push({ code: "custom", input: given, params: { expects, hint, fault: value } });
    return z.NEVER;
  });
  return z.pipe(source, meaning as z.ZodType<T, string>) as unknown as z.ZodType<T, I>;
}

/** A whole number within [min, max]. */
export function whole(
  min: number,
  max: number,
  expects = `a whole number from ${min} to ${max}`,
): z.ZodType<number, number> {
  return expecting(z.int().min(min).max(max), expects, wholeHint);
}

/** A list of at least `min` entries. */
export function list<T extends z.ZodType>(schema: T, expects: string, min = 0): z.ZodArray<T> {
  return expecting(z.array(schema).min(min), expects, listHint);
}

/** One of a few words. */
export function word<const W extends readonly [string, ...string[]]>(words: W): z.ZodEnum<{ [K in W[number]]: K }> {
  return z.enum(words) as unknown as z.ZodEnum<{ [K in W[number]]: K }>;
}

/** A duration from minMs to durationMsMax. */
export function duration(minMs = 1): z.ZodType<number, DurationText> {
  const expects = `a duration from ${formatMs(minMs)} to ${formatMs(durationMsMax)}, such as 250ms, 10s, 5m or 1h`;
  const notOff = fault("this duration cannot be off", "every wait needs an end: write a long one such as 1d");
  return text<number, DurationText>(
    expects,
    durationPattern,
    (given) => {
      const ms = parseDuration(given);
      if (given === "off") return notOff;
      return ms !== null && ms >= minMs ? ms : null;
    },
    durationHint,
  );
}

/** A duration, or "off". */
export function durationOrOff(): z.ZodType<number, DurationText | "off"> {
  const expects = `a duration such as 250ms, 10s, 5m or 1h (at most ${formatMs(durationMsMax)}), or off`;
  return text(
    expects,
    `${durationPattern}|^off$`,
    (given) => {
      const ms = given === "off" ? OFF : parseDuration(given);
      return ms !== null && (ms > 0 || given === "off") ? ms : null;
    },
    durationHint,
  );
}

/** A size of 1 byte to max, given as text or as a bare number of bytes; "unlimited" where allowed. */
function sizeWith<I extends string>(
  expects: string,
  pattern: string,
  min: number,
  max: number,
  off: boolean,
): z.ZodType<number, I | number> {
  const asText = text<number, I>(
    expects,
    pattern,
    (given) => {
      if (off && given === "unlimited") return OFF;
      const bytes = parseSize(given);
      return bytes !== null && bytes >= min && bytes <= max ? bytes : null;
    },
    sizeHint,
  );
  return expecting(z.union([asText, whole(min, max, expects)]), expects);
}

export function size(min: number, max = headBytesMax): z.ZodType<number, SizeText> {
  const expects = `a size from ${formatSize(min)} to ${formatSize(max)}, such as 64k`;
  return sizeWith(expects, sizePattern, min, max, false);
}

export function sizeOrUnlimited(): z.ZodType<number, SizeText | "unlimited"> {
  const expects = "a size such as 64k, 8m or 2g, or unlimited";
  return sizeWith(expects, `${sizePattern}|^unlimited$`, 1, Number.MAX_SAFE_INTEGER, true);
}

/** A count from 1 to max, or "unlimited". */
export function countOrUnlimited(max = connectionsMax): z.ZodType<number, number | "unlimited"> {
  const expects = `a whole number from 1 to ${max}, or unlimited`;
  const unlimited = z.pipe(
    z.literal("unlimited"),
    z.transform(() => OFF),
  );
  return expecting(z.union([whole(1, max, expects), unlimited]), expects, wholeHint);
}

/** A share above 100 %, or "unlimited". */
export function loadPercent(): z.ZodType<number, PercentText | "unlimited"> {
  return text<number, PercentText | "unlimited">(
    "a percentage from 101% to 10000%, such as 125%, or unlimited",
    `${percentPattern}|^unlimited$`,
    (given) => {
      if (given === "unlimited") return OFF;
      const percent = parsePercent(given);
      return percent !== null && percent > 100 && percent <= 10_000 ? percent : null;
    },
    percentHint,
  );
}

/** What a listener binds. */
export const bindAddress: z.ZodType<BindAddress, string> = text(
  "an address and port such as 0.0.0.0:8080, [::]:8080 or unix:/run/sluice.sock",
  null,
  parseBind,
  bindHint,
);

/** Where an endpoint is. */
export const endpointAddress: z.ZodType<EndpointAddress, string> = text(
  "an address such as 10.0.0.1:3000, app.internal:3000, [::1]:3000 or unix:/run/app.sock",
  null,
  parseEndpointAddress,
);

/** Who answers questions about names; stays text. */
export const nameServer: z.ZodType<string, string> = text(
  "a name server such as 10.0.0.53, 127.0.0.1:8600 or [::1]:53",
  null,
  parseNameServer,
);

/** RFC 9110 5.6.2: what names of fields, methods and cookies are made of. */
export const tokenPattern = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** What a request is hashed by, from its text. Header names become lower case. */
export function parseHashKey(given: string): HashKey | Fault | null {
  if (given === "source" || given === "path" || given === "uri") return { from: given, name: "" };
  const match = /^(header|cookie|query):(.*)$/s.exec(given);
  if (match === null) return null;
  const from = match[1] as "header" | "cookie" | "query";
  const name = match[2]!;
  if (name === "") return fault(`${from}: needs a name`, `write ${from}:NAME`);
  if (from === "query" ? /[\s&=#\p{Cc}]/u.test(name) : !tokenPattern.test(name)) {
    return fault(`${JSON.stringify(name)} is not the name of a ${from === "query" ? "query argument" : from}`);
  }
  return { from, name: from === "header" ? name.toLowerCase() : name };
}

export const hashKey: z.ZodType<HashKey, HashKeyText> = text<HashKey, HashKeyText>(
  "source, path, uri, header:NAME, cookie:NAME or query:NAME",
  "^(source|path|uri|(header|cookie|query):.+)$",
  parseHashKey,
  keyHint,
);

/** A status code, or a range of them as "200-299"; both ends included. */
export const statusRange: z.ZodType<readonly [number, number], number | `${number}-${number}`> = expecting(
  z.union([
    whole(100, 599, "a status code from 100 to 599").transform((n): [number, number] => [n, n]),
    text<readonly [number, number], `${number}-${number}`>(
      "a status code, or a range such as 200-299",
      "^[1-5]\\d\\d-[1-5]\\d\\d$",
      (given) => {
        const match = /^([1-5]\d\d)-([1-5]\d\d)$/.exec(given);
        if (match === null) return null;
        if (Number(match[1]) <= Number(match[2])) return [Number(match[1]), Number(match[2])];
        return fault(`the range ${given} is empty`, `write ${match[2]}-${match[1]}`);
      },
    ),
  ]),
  "a status code such as 200, or a range such as 200-299",
);

/** Names of listeners and pools: they appear in URLs, metrics, logs and on command lines. */
export const name = expecting(
  z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/),
  "a name of at most 64 letters, digits, dots, dashes and underscores that begins with a letter or digit",
  textHint,
);

/** Text without line ends or other control bytes. */
export function plainText(expects: string, lengthMax = 1024): z.ZodType<string, string> {
  return expecting(
    z
      .string()
      .min(1)
      .max(lengthMax)
      .regex(/^[^\u0000-\u001f\u007f]*$/),
    expects,
    textHint,
  );
}
