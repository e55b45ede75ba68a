// What browsers are told, by the steps of the Fetch standard that read it: who may, with what, and for whom caches keep
// it.

import { describe, expect, test } from "bun:test";
import { latin1Text, Scratch } from "../base/bytes.ts";
import { seededRng } from "../base/seeded-rng.ts";
import { defaultCors } from "../model/policy-defaults.ts";
import type { CorsConfig } from "../model/route-config.ts";
import { Cors, isPreflight } from "./cors.ts";
import { sendOwn } from "./own-answer.ts";
import { wildValue } from "./test-facts.ts";
import { RecordingStream, requestHead, responseHead, sentResponse } from "./test-kit.ts";

const make = (config: Partial<CorsConfig>): Cors => new Cors({ ...defaultCors, ...config });
const app = "https://app.example";

function request(origin: string | null, more = "", method = "GET"): ReturnType<typeof requestHead> {
  return requestHead(`${method} / HTTP/1.1\nHost: h${origin === null ? "" : `\nOrigin: ${origin}`}${more}`);
}

function preflight(config: Partial<CorsConfig>, origin: string, asks: string): string {
  const head = request(origin, asks, "OPTIONS");
  expect(isPreflight(head)).toBe(true);
  make(config).preflight(head, 0);
  const client = new RecordingStream("192.0.2.1");
  sendOwn(client, new Scratch(8));
  expect(client.ended).toBe(true);
  const [first, date, ...rest] = client.text.replaceAll("\r\n", "\n").split("\n");
  expect([first, date]).toEqual(["HTTP/1.1 204 No Content", "Date: Thu, 01 Jan 1970 00:00:00 GMT"]);
  return rest.join("\n").trimEnd();
}

/** The fields of an endpoint's response as the client gets them. */
function decorated(config: Partial<CorsConfig>, origin: string | null, fields = ""): string {
  const response = responseHead(`HTTP/1.1 200 OK${fields}`);
  const added = new Scratch(1);
  make(config).decorate(request(origin), response, added);
  return sentResponse(response, added).replace("HTTP/1.1 200 OK\n", "").trimEnd();
}

describe("preflight requests", () => {
  test("are OPTIONS with an origin and a method asked for", () => {
    const asks = "\nAccess-Control-Request-Method: PUT";
    expect(isPreflight(request(app, asks, "OPTIONS"))).toBe(true);
    expect(isPreflight(request(null, asks, "OPTIONS"))).toBe(false);
    expect(isPreflight(request(app, "", "OPTIONS"))).toBe(false);
    expect(isPreflight(request(app, asks, "PUT"))).toBe(false);
  });

  const asks = "\nAccess-Control-Request-Method: PUT\nAccess-Control-Request-Headers: x-a,content-type";
  test("by default everybody may use what is asked for, without credentials", () => {
    expect(preflight({}, app, asks)).toBe(
      "Access-Control-Allow-Origin: *\nAccess-Control-Allow-Methods: GET, HEAD, POST, PUT, PATCH, DELETE\n" +
        "Access-Control-Allow-Headers: x-a,content-type\nAccess-Control-Max-Age: 600\n" +
        "Vary: Access-Control-Request-Headers",
    );
  });
  test("of an origin in the list, with credentials and lists", () => {
    const config = {
      origins: [app],
      credentials: true,
      methods: ["PUT"],
      headers: ["X-A", "x-b"],
      maxAgeMs: 3_600_500,
    };
    expect(preflight(config, app, asks)).toBe(
      "Access-Control-Allow-Origin: https://app.example\nAccess-Control-Allow-Credentials: true\n" +
        "Access-Control-Allow-Methods: PUT\nAccess-Control-Allow-Headers: X-A, x-b\n" +
        "Access-Control-Max-Age: 3600\nVary: Origin",
    );
  });
  test("of another origin are told nothing but what it depends on", () => {
    const config = { origins: [app], headers: ["*"], methods: ["*"] };
    expect(preflight(config, "https://evil.example", asks)).toBe(
      "Vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
    );
    expect(preflight(config, app, asks)).toContain("\nAccess-Control-Allow-Methods: PUT\n");
  });
  test("with no headers asked for get no list of them", () => {
    expect(preflight({}, app, "\nAccess-Control-Request-Method: PUT")).not.toContain("Allow-Headers");
  });
  test("what is asked for comes back only if it is a list of tokens", () => {
    for (const bad of ["a\nAccess-Control-Request-Headers: b", "a; b", "<b>", "\xe9"]) {
      const text = preflight({}, app, `\nAccess-Control-Request-Method: PUT\nAccess-Control-Request-Headers: ${bad}`);
      expect([bad, text.includes("Allow-Headers")]).toEqual([bad, false]);
    }
  });
});

describe("other responses", () => {
  test("for everybody are the same for everybody", () => {
    for (const origin of [app, null]) {
      expect(decorated({ expose: ["X-Total", "ETag"] }, origin, "\nVary: Accept")).toBe(
        "Vary: Accept\nAccess-Control-Allow-Origin: *\nAccess-Control-Expose-Headers: X-Total, ETag",
      );
    }
  });
  test("for listed origins name the one that asks, and vary by it whoever asks", () => {
    const config = { origins: [app, "https://b.example"], credentials: true, expose: ["X-Total"] };
    expect(decorated(config, "https://b.example", "\nVary: Accept")).toBe(
      "Vary: Accept\nAccess-Control-Allow-Origin: https://b.example\nAccess-Control-Allow-Credentials: true\n" +
        "Access-Control-Expose-Headers: X-Total\nVary: Origin",
    );
    for (const origin of ["https://c.example", "null", null]) expect(decorated(config, origin)).toBe("Vary: Origin");
  });
  test("lose the endpoint's own opinion, in any case", () => {
    const own =
      "\nAccess-Control-Allow-Origin: *\naccess-control-allow-credentials: true\nA: 1\nACCESS-CONTROL-MAX-AGE: 9" +
      "\nAccess-Control-Expose-Headers: *\nAccess-Control-Allow-Methods: *\nAccess-Control-Allow-Headers: *";
    expect(decorated({ origins: [app] }, "https://c.example", own)).toBe("A: 1\nVary: Origin");
    expect(decorated({ origins: [app] }, app, own)).toBe(
      "A: 1\nAccess-Control-Allow-Origin: https://app.example\nVary: Origin",
    );
  });
  test("that vary by origin already are not told twice", () => {
    const config = { origins: [app] };
    for (const vary of ["Origin", "accept, ORIGIN", "*", "a,b\nVary: c ,origin"]) {
      expect([vary, decorated(config, null, `\nVary: ${vary}`)]).toEqual([vary, `Vary: ${vary}`]);
    }
    expect(decorated(config, null, "\nVary: x-origin, origin-x")).toEndWith("\nVary: Origin");
  });
  test("of our own take the lines alone", () => {
    const added = new Scratch(1);
    make({ origins: [app] }).decorate(request(app), null, added);
    expect(latin1Text(added.bytes, 0, added.length)).toBe(
      "Access-Control-Allow-Origin: https://app.example\r\nVary: Origin\r\n",
    );
  });
});

describe("credentials", () => {
  test("are never allowed to everybody", () => {
    expect(decorated({ credentials: true }, app)).toBe("Access-Control-Allow-Origin: *");
    const both = { credentials: true, origins: ["*", app] };
    expect(decorated(both, app)).toContain("Allow-Credentials: true");
    expect(decorated(both, "https://c.example")).toBe("Access-Control-Allow-Origin: *\nVary: Origin");
  });
});

describe("wildcards of origins", () => {
  const allowed = (pattern: string, origin: string): boolean =>
    decorated({ origins: [pattern] }, origin).includes("Allow-Origin");
  test.each([
    ["https://*.example.com", "https://a.example.com", true],
    ["https://*.example.com", "https://a.b.example.com", true],
    ["https://*.example.com", "https://example.com", false],
    ["https://*.example.com", "http://a.example.com", false],
    ["https://*.example.com", "https://a.example.com.evil.example", false],
    ["https://*.example.com", "https://evil.example/.example.com", false],
    ["https://*.example.com", "https://evil.example?.example.com", false],
    ["https://*.example.com", "https://x@a.example.com", false],
    ["https://*.example.com", "https://a.example.com https://evil", false],
    ["HTTP://Localhost:*", "http://localhost:5173", true],
    ["http://localhost:*", "http://localhost:5173/x", false],
    ["http://localhost:*", "http://localhost:evil", false],
    ["*n*", "null", false],
    ["null", "null", true],
    [app, "https://app.example:444", false],
    [app, "", false],
  ])("%s and %s: %p", (pattern, origin, is) => expect(allowed(pattern, origin)).toBe(is));
  test("two origins are none", () => {
    expect(decorated({ origins: [app] }, `${app}\nOrigin: ${app}`)).toBe("Vary: Origin");
  });
});

test("what clients ask for adds no line of its own", () => {
  const seed = 5;
  const rng = seededRng(seed);
  for (let round = 0; round < 500; round++) {
    const origin = rng.below(2) === 0 ? `https://${wildValue(rng, 6)}` : wildValue(rng, 6);
    const name = "\nAccess-Control-Request";
    const asks = `${name}-Method: ${wildValue(rng, 6)}${name}-Headers: ${wildValue(rng, 6)}`;
    const config = { origins: ["https://v*"], methods: ["*"], credentials: rng.below(2) === 0 };
    const lines = preflight(config, origin, asks).split("\n");
    if (!lines.every((line) => /^(?:Access-Control-[A-Za-z-]+|Vary): [ -~\t]+$/.test(line))) {
      throw new Error(`seed ${seed}, round ${round}: ${JSON.stringify(lines)}`);
    }
  }
});
