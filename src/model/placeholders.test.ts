// How templates are split: what is a placeholder, what is a mistake, and what is text.

import { expect, test } from "bun:test";
import { parseTemplate, placeholderOf, placeholders, type ParsedTemplate } from "./placeholders.ts";

const plain = (name: string): object => ({ text: "", hole: { from: "plain", name } });
const text = (of: string): object => ({ text: of, hole: null });

test("texts and holes, in order", () => {
  expect(parseTemplate("")).toEqual({ parts: [], unknown: [] });
  expect(parseTemplate("https://{host}/new{path}?q={query.a-b}").parts as unknown[]).toEqual([
    text("https://"),
    plain("host"),
    text("/new"),
    plain("path"),
    text("?q="),
    { text: "", hole: { from: "query", name: "a-b" } },
  ]);
  expect(parseTemplate("{1}{9}{header.X-Key}{cookie.SID}{tls.sni}").parts as unknown[]).toEqual([
    { text: "", hole: { from: "capture", index: 1 } },
    { text: "", hole: { from: "capture", index: 9 } },
    { text: "", hole: { from: "header", name: "x-key" } },
    { text: "", hole: { from: "cookie", name: "SID" } },
    plain("tls.sni"),
  ]);
});

test("braces around anything else are text, and {{ is one brace", () => {
  for (const literal of [
    '{"a":{"b":1}}',
    "{}",
    "{ path }",
    "{0}",
    "{10}",
    "body{color:red}",
    "{",
    "}",
    "{a b}",
    "}}",
  ]) {
    expect(parseTemplate(literal)).toEqual({ parts: [text(literal)], unknown: [] } as ParsedTemplate);
  }
  expect(parseTemplate("{{path} {path} {{{path}").parts as unknown[]).toEqual([
    text("{path} "),
    plain("path"),
    text(" {"),
    plain("path"),
  ]);
});

test("what looks like a placeholder and is none is a mistake", () => {
  expect(parseTemplate("{hots}{header}{header.}{host.x}{tls.nothing}").unknown).toEqual([
    "hots",
    "header",
    "host.x",
    "tls.nothing",
  ]);
});

test("every documented name is one", () => {
  for (const { name, argument } of placeholders) {
    const written = argument === null ? name : `${name}.some-name`;
    expect(placeholderOf(written)).not.toBeNull();
    expect(parseTemplate(`{${written}}`).parts[0]?.hole).toEqual(placeholderOf(written)!);
  }
});
