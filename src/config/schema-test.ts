// The keys of route tests: a request, and where it must go.

import * as z from "zod";
import { defaultTestMethod, defaultTestSource, defaultTestTolerance } from "../model/policy-defaults.ts";
import { expecting, plainText, whole } from "./fields.ts";
import { share } from "./fields-route.ts";
import { mapHint, textHint } from "./hints.ts";
import { key, map, required } from "./schema-parts.ts";
import { formatPercent } from "./units.ts";

const request = map("a map with url", {
  method: key(plainText("a method such as GET", 32), "Its method.", defaultTestMethod),
  url: required(plainText("a URL such as http://app.example.com/users?page=2, or a path", 8192), "A URL, or a path."),
  headers: key(
    expecting(
      z.record(z.string(), expecting(z.string().max(4096), "the value of a header, as text", textHint)),
      "a map of header names to values",
      mapHint,
    ),
    "Its header fields.",
    {},
  ),
  source: key(plainText("an IP address", 64), "The client's address.", defaultTestSource),
});

const expected = map("a map with route, pool, status …", {
  route: key(plainText("the name of a route", 64), "Name of the route that takes it, or its number from 0."),
  pool: key(plainText("the name of a pool", 64), "The pool it is forwarded to."),
  share: key(share(0), "The pool gets this share of many such requests."),
  tolerance: key(share(0), "How far from `share` the draw may be, in points.", formatPercent(defaultTestTolerance)),
  status: key(whole(200, 599), "Status of a redirect, a fixed answer or a refusal; 404 where no route fits."),
  location: key(plainText("a URL", 8192), "Where a redirect leads."),
  path: key(plainText("a path", 8192), "Path, and query if there is one, as endpoints see it."),
  host: key(plainText("a host", 255), "Host as endpoints see it."),
  headers: key(
    expecting(
      z.record(
        z.string(),
        expecting(z.union([z.literal(false), z.string().max(4096)]), "the value of a header, or false", textHint),
      ),
      "a map of header names to values, or to false",
      mapHint,
    ),
    "Header fields as endpoints see them; `false`: not there.",
    {},
  ),
});

export const routeTest = map("a test: a map with request and expect", {
  name: key(plainText("text", 256), "What is tested; method and URL unless given."),
  listener: key(plainText("the name of a listener", 64), "The listener that gets it; needed if there are several."),
  request: required(
    expecting(
      z.union([plainText("a method and a URL such as GET http://app.example.com/", 8192), request]),
      "a method and a URL such as GET http://app.example.com/, or a map with url",
      textHint,
    ),
    "The request: method and URL, or a map.",
  ),
  expect: required(expected, "What must become of it."),
});
