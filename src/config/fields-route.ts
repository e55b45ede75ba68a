// The leaf types that only routes and traffic policy have: keys of limits, percentages with fractions, rates, functions
// of a TypeScript configuration.

import * as z from "zod";
import type { LimitKey, RetryCause } from "../model/route-config.ts";
import {
  expecting,
  parseHashKey,
  text,
  whole,
  word,
  type HashKeyText,
  type PercentText,
  type SizeText,
} from "./fields.ts";
import { keyHint, percentHint, sizeHint, type HintFor } from "./hints.ts";
import { formatPercent, parseFinePercent, parseSize, sizePattern } from "./units.ts";

/** A share of at least min and at most 100 %, with up to two decimal places. */
export function share(min: number): z.ZodType<number, PercentText> {
  return text<number, PercentText>(
    `a percentage from ${formatPercent(min)} to 100%, such as 20%`,
    "^\\d+(\\.\\d{1,2})?%$",
    (given) => {
      const percent = parseFinePercent(given);
      return percent !== null && percent >= min && percent <= 100 ? percent : null;
    },
    percentHint,
  );
}

/** Bytes per second, or off. */
export function rateOrOff(): z.ZodType<number, SizeText | "off"> {
  const expects = "a size in bytes for each second, such as 1k, or off";
  const hint: HintFor = (found) => (found === false ? "write off" : sizeHint(found));
  const asText = text<number, Extract<SizeText, string> | "off">(
    expects,
    `${sizePattern}|^off$`,
    (given) => {
      if (given === "off") return 0;
      const bytes = parseSize(given);
      return bytes !== null && bytes > 0 ? bytes : null;
    },
    hint,
  );
  return expecting(z.union([asText, whole(1, Number.MAX_SAFE_INTEGER, expects)]), expects, hint);
}

/** What a limit counts by. */
export type LimitKeyText = HashKeyText | "route";

/** What a limit counts by: all requests of the route, or a key of the request. */
export const limitKey: z.ZodType<LimitKey, LimitKeyText> = text<LimitKey, LimitKeyText>(
  "source, route, path, uri, header:NAME, cookie:NAME or query:NAME",
  "^(source|route|path|uri|(header|cookie|query):.+)$",
  (given) => (given === "route" ? { from: "route", name: "" } : parseHashKey(given)),
  keyHint,
);

const causeWords = ["connect", "refused", "reset", "timeout"] as const;

/** What makes a request worth repeating. */
export const retryCause: z.ZodType<RetryCause, RetryCause> = expecting(
  z.union([word(causeWords), whole(400, 599)]),
  "connect, refused, reset, timeout or a status code from 400 to 599",
);

/** What stands for a function of a TypeScript configuration once its value has left the module's thread. */
export const FUNCTION_MARK = "sluice:function";

/** A function, or its mark. YAML has neither: load.ts refuses the mark there. */
export function functionField<F>(): z.ZodType<true, F> {
  const given = z.custom<F>((value) => typeof value === "function" || value === FUNCTION_MARK);
  const expects = "a function";
  const hint: HintFor = (found) => (typeof found === "string" ? "functions live in a TypeScript configuration" : "");
  const marked = z.pipe(
    expecting(given, expects, hint),
    z.transform((): true => true),
  );
  return marked as unknown as z.ZodType<true, F>;
}
