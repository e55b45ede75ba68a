// The keys of a route's match: what a request must be like.

import * as z from "zod";
import { expecting, plainText } from "./fields.ts";
import { mapHint, textHint } from "./hints.ts";
import { cidr, cidrList, key, map, oneOrMore, required } from "./schema-parts.ts";

const pattern = expecting(
  z
    .string()
    .max(1024)
    .regex(/^[^\u0000-\u001f\u007f]*$/),
  "text, with * for any characters and ? for one",
  textHint,
);
const patterns = oneOrMore(pattern, "text, with * for any characters and ? for one, or a list of these");

const fieldExpects = "text with wildcards, a list of these, true (it is there), false (it is not) or a map with not";

/** What the value of a header, cookie or query argument must be. */
const fieldValue = expecting(
  z.union([
    z.boolean(),
    patterns,
    map("a map with not", { not: required(patterns, "It must not be any of these; not being there is as good.") }),
  ]),
  fieldExpects,
  textHint,
);

function fields(what: string): z.ZodRecord<z.ZodString, typeof fieldValue> {
  return expecting(z.record(z.string(), fieldValue), `a map of ${what} to ${fieldExpects}`, mapHint);
}

/** One kind of condition that any one of several texts fulfils. */
function anyOf(expects: string, lengthMax = 1024): ReturnType<typeof oneOrMore<ReturnType<typeof plainText>>> {
  return oneOrMore(plainText(expects, lengthMax), `${expects}, or a list of these`);
}

export const match = map("a map of conditions", {
  host: key(
    anyOf("a host such as app.example.com or *.example.com", 255),
    "The request's host without its port: a name, or `*.` and a name for everything below it; one or a list.",
  ),
  path: key(
    anyOf("a path such as /users or /api/*"),
    "The whole path, with `*` for any characters and `?` for exactly one; one or a list. Case matters.",
  ),
  prefix: key(
    anyOf("the beginning of a path such as /static"),
    "The beginning of the path, by whole segments: `/static` fits `/static` and `/static/x`, not `/statics`; one or " +
      "a list.",
  ),
  regex: key(
    anyOf("a regular expression such as ^/v[12]/"),
    "A regular expression that fits somewhere in the path, unless it says `^` or `$`; one or a list.",
  ),
  method: key(anyOf("a method such as GET", 32), "The method; one or a list."),
  headers: key(
    fields("header names"),
    "Header fields: text with `*` and `?`, a list of such texts of which one must fit, `true` (it is there), `false` " +
      "(it is not), or `{ not: … }`.",
  ),
  cookies: key(fields("cookie names"), "Cookies, in the same way."),
  query: key(fields("names of query arguments"), "Query arguments, in the same way."),
  source: key(
    oneOrMore(cidr, cidrList),
    "Blocks the client's address must be in; behind trusted proxies the address they forwarded. One or a list.",
  ),
});
