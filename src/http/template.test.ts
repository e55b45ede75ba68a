// What fills each placeholder, and what a value cannot do where it is put.

import { describe, expect, test } from "bun:test";
import { latin1Text, Scratch } from "../base/bytes.ts";
import { seededRng } from "../base/seeded-rng.ts";
import { placeholders } from "../model/placeholders.ts";
import { compilePathRules } from "../route/path.ts";
import type { TemplateUse } from "./safe-bytes.ts";
import { compileTemplate, type TemplateFacts } from "./template.ts";
import { factsOf, wildTarget, wildText, wildValue } from "./test-facts.ts";
import { requestHead } from "./test-kit.ts";

const head = requestHead(
  "GET /a/B%20c?x=1&page=2%203&flag&x=9 HTTP/1.1\nHost: Shop.Example:8443\nX-User: Anna\nx-user: Bob\n" +
    "Cookie: sid=s1; theme=d\nCookie: late=9",
);
const asked = {
  source: "192.0.2.1",
  sourcePort: "40000",
  requestId: "0f",
  scheme: "https",
  port: "443",
  listener: "web",
  route: "7",
  pool: "p",
  endpoint: "e1",
  time: "2026-11-22T13:00:00.000Z",
  "tls.sni": "shop.example",
  "tls.version": "TLSv1.3",
  "tls.cipher": "TLS_AES_128_GCM_SHA256",
} as const;

function fill(text: string, use: TemplateUse = "header", facts: TemplateFacts | null = factsOf(head, asked)): string {
  const out = new Scratch(1);
  out.putText("before:");
  compileTemplate(text, use).put(out, facts);
  return latin1Text(out.bytes, 7, out.length);
}

describe("placeholders", () => {
  test.each([
    ["{method} {uri}", "GET /a/B%20c?x=1&page=2%203&flag&x=9"],
    ["{path}", "/a/B%20c"],
    ["{query}", "x=1&page=2%203&flag&x=9"],
    ["{query.page}|{query.x}|{query.flag}|{query.none}", "2%203|1||"],
    ["{host} {hostname}", "shop.example:8443 shop.example"],
    ["{header.X-User}", "Anna, Bob"],
    ["{header.cookie}", "sid=s1; theme=d; late=9"],
    ["{header.none}", ""],
    ["{cookie.sid}{cookie.late}{cookie.none}", "s19"],
    ["{source} {client}:{sourcePort}", "192.0.2.1 192.0.2.1:40000"],
    ["{scheme}://{host}:{port}", "https://shop.example:8443:443"],
    ["{listener}/{route}/{pool}/{endpoint}/{requestId}", "web/7/p/e1/0f"],
    ["{time}", "2026-11-22T13:00:00.000Z"],
    ["{tls.sni} {tls.version} {tls.cipher}", "shop.example TLSv1.3 TLS_AES_128_GCM_SHA256"],
    ['{"a": {"b": "{{path}"}}', '{"a": {"b": "{path}"}}'],
    ["", ""],
  ])("%s", (text, filled) => expect(fill(text)).toBe(filled));

  test("every one of the list can be compiled and filled", () => {
    for (const { name, argument } of placeholders) {
      const text = argument === null ? `{${name}}` : `{${name}.x}`;
      expect([name, fill(text) !== "" || argument !== null]).toEqual([name, true]);
    }
  });

  test("what is not known is empty", () => {
    const bare = factsOf(requestHead("GET / HTTP/1.0"));
    const all = placeholders.filter((p) => p.argument === null && !["method", "path", "uri"].includes(p.name));
    for (const { name } of all) expect([name, fill(`{${name}}`, "header", bare)]).toEqual([name, ""]);
    expect(fill("{1}{header.a}{cookie.a}{query.a}", "header", bare)).toBe("");
  });

  test("captures of the route's expression", () => {
    const spans = Int32Array.of(4, 12, 5, 6, -1, -1);
    const facts = factsOf(head, {}, spans);
    expect(fill("{1}-{2}-{3}", "header", facts)).toBe("a--");
  });

  test("hosts of all forms lose their port", () => {
    const hostname = (host: string): string =>
      fill("{hostname}", "header", factsOf(requestHead(`GET / HTTP/1.1\nHost: ${host}`)));
    expect(["a", "a:1", "A:", "[::1]", "[::1]:80", "192.0.2.1:80"].map(hostname)).toEqual([
      "a",
      "a",
      "a",
      "[::1]",
      "[::1]",
      "192.0.2.1",
    ]);
  });

  test("a target without a path is /, also with a query", () => {
    const uri = (line: string, use: TemplateUse = "header"): string =>
      fill("{path} {uri}", use, factsOf(requestHead(`${line} HTTP/1.1\nHost: h`)));
    expect(uri("GET http://b")).toBe("/ /");
    expect(uri("GET http://b?q")).toBe("/ /?q");
    expect(uri("GET /?")).toBe("/ /?");
    expect(uri("OPTIONS *")).toBe("* *");
    expect(uri("OPTIONS *", "location")).toBe("/%20/");
  });

  test("a path that was brought into another form counts in that form", () => {
    const rules = compilePathRules({ mode: "normalize", slashes: "merge", encodedSlashes: "refuse" });
    const normal = (target: string): string =>
      fill("{path} {query} {uri}", "header", factsOf(requestHead(`GET ${target} HTTP/1.1\nHost: h`), {}, null, rules));
    expect(normal("/a/../b?q")).toBe("/b q /b?q");
    expect(normal("//%61?")).toBe("/a  /a?");
    expect(normal("/./c")).toBe("/c  /c");
  });

  test("text without holes is one copy and asks for nothing", () => {
    expect(compileTemplate("plain {{x}", "header").isLiteral).toBe(true);
    expect(compileTemplate("{path}", "header").isLiteral).toBe(false);
    expect(fill("plain {{x}", "header", null)).toBe("plain {x}");
    const facts = factsOf(head, asked);
    fill("{path}{header.x}", "header", facts);
    expect(facts.asked).toEqual([]);
  });

  test("an unknown placeholder does not compile", () => {
    expect(() => compileTemplate("{hots}", "header")).toThrow("hots");
  });

  test("text is UTF-8", () => {
    expect(fill("é{method}", "body")).toBe("\xc3\xa9GET");
    expect(fill("/é x", "location")).toBe("/%C3%A9%20x");
  });
});

describe("rewrites", () => {
  const rewritten = (to: string, captures: readonly number[]): string => {
    const out = new Scratch(1);
    compileTemplate(to, "target", true).put(out, factsOf(head), Int32Array.from(captures));
    return latin1Text(out.bytes, 0, out.length);
  };
  test("dollars are captures, two of them a dollar", () => {
    expect(rewritten("/$1/$2$$1$0$9", [4, 12, 5, 6, 7, 8])).toBe("/a/B$1/a/B%20c");
    expect(rewritten("/$", [])).toBe("/$");
    expect(rewritten("/{query.page}/$1x", [4, 5, -1, -1])).toBe("/2%203/x");
  });
  test("elsewhere a dollar is a dollar", () => expect(fill("$1$$", "target")).toBe("$1$$"));
  test("what says the query", () => {
    const says = (to: string): boolean => compileTemplate(to, "target", true).saysQuery;
    expect([says("/a?b"), says("{uri}"), says("/$1{query.x}"), says("{query}")]).toEqual([true, true, false, false]);
  });
});

describe("a value cannot", () => {
  const bad = { source: "a\r\nSet-Cookie: b\0\x7f\tc\xe9 d", "tls.sni": "a b?c#d&e+f%g\u0001<\xe9>" };
  const facts = factsOf(requestHead("GET /p&q+r?a=b&c HTTP/1.1\nHost: h\nX: /w?v&u"), bad);

  test("end a field", () => expect(fill("{source}", "header", facts)).toBe("aSet-Cookie: b\tc\xe9 d"));
  test("be changed in a body", () => expect(fill("{source}", "body", facts)).toBe(bad.source));
  test("bring anything but characters of a URI into a Location", () => {
    expect(fill("/{source}", "location", facts)).toBe("/a%0D%0ASet-Cookie:%20b%00%7F%09c%E9%20d");
    expect(fill("{header.x}", "location", facts)).toBe("/w?v&u");
  });
  test("leave its argument in a Location, unless it is a query", () => {
    expect(fill("/login?next={uri}&p={path}", "location", facts)).toBe("/login?next=/p%26q%2Br?a=b%26c&p=/p%26q%2Br");
    expect(fill("/login?{query}", "location", facts)).toBe("/login?a=b&c");
  });
  test("end the path of a target, or its argument", () => {
    expect(fill("/x/{tls.sni}", "target", facts)).toBe("/x/a%20b%3Fc%23d&e+f%g%01<\xe9>");
    expect(fill("/x?y={tls.sni}&{query}", "target", facts)).toBe("/x?y=a%20b?c%23d%26e%2Bf%g%01<\xe9>&a=b&c");
    expect(fill("/x{uri}", "target", facts)).toBe("/x/p&q+r?a=b&c");
    expect(fill("/x/{query}", "target", factsOf(requestHead("GET /?a?b HTTP/1.1\nHost: h")))).toBe("/x/a%3Fb");
  });
});

test("whatever the values are, no line ends, and what is allowed everywhere stays as it is", () => {
  const seed = 20;
  const rng = seededRng(seed);
  const texts = placeholders.map(({ name, argument }) => (argument === null ? `{${name}}` : `{${name}.q}`));
  for (let round = 0; round < 1500; round++) {
    const target = `/${wildTarget(rng, rng.below(20))}?q=${wildTarget(rng, rng.below(20))}`;
    const request = requestHead(
      `GET ${target} HTTP/1.1\nHost: h\nQ: ${wildValue(rng, rng.below(9))}\nCookie: q=${wildValue(rng, rng.below(9))}`,
    );
    const values = Object.fromEntries(Object.keys(asked).map((name) => [name, wildText(rng, rng.below(12))]));
    const text = Array.from({ length: 1 + rng.below(4) }, () => texts[rng.below(texts.length)]!).join("-");
    const facts = factsOf(request, values);
    const where = `seed ${seed}, round ${round}: ${text}`;
    const body = fill(text, "body", facts);
    const header = fill(text, "header", facts);
    const location = fill(text, "location", facts);
    const isQuery = rng.below(2) === 0;
    const asTarget = fill(`${isQuery ? "/?" : "/"}${text}`, "target", facts);
    if (/[\0-\x08\x0a-\x1f\x7f]/.test(header)) throw new Error(`${where}: control byte in ${JSON.stringify(header)}`);
    if (header !== body.replaceAll(/[\0-\x08\x0a-\x1f\x7f]/g, "")) throw new Error(`${where}: header changed`);
    if (!/^[!#-;=?-[\]_a-z~]*$/.test(location)) throw new Error(`${where}: no URI: ${JSON.stringify(location)}`);
    const back = location.replaceAll(/%[0-9A-F]{2}/g, (hex) => String.fromCharCode(Number.parseInt(hex.slice(1), 16)));
    const same = body.replaceAll(/%[0-9A-F]{2}/g, (hex) => String.fromCharCode(Number.parseInt(hex.slice(1), 16)));
    if (back !== same) throw new Error(`${where}: Location changed: ${JSON.stringify([location, body])}`);
    if (/[\0-\x20\x7f#]/.test(asTarget)) throw new Error(`${where}: no target: ${JSON.stringify(asTarget)}`);
  }
});
