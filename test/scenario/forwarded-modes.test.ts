// What endpoints are told of the client under `forwarded: append`, `preserve` and `remove`, from proxies that are
// trusted and from anybody else. What append does in particular is forwarded.test.ts.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { logged } from "./lib/access-log.ts";
import { request } from "./lib/client.ts";
import { startOrigin } from "./lib/origin.ts";
import { type Sluice, startSluice } from "./lib/sluice.ts";
import { openWebSocket } from "./lib/websocket-client.ts";

const origin = startOrigin({ name: "a" });
let sluice: Sluice;

const modes = ["append", "preserve", "remove"] as const;
type Mode = (typeof modes)[number];

beforeAll(async () => {
  sluice = await startSluice(`
workers: 1
listeners:
${modes
  .map((mode) => `  ${mode}: { bind: "127.0.0.1:0", trustedProxies: [127.0.0.2], forwarded: ${mode}, routes: [`)
  .map((line) => `${line} { forward: app, responseHeaders: { set: { x-source: "{source} {scheme}" } } } ] }`)
  .join("\n")}
pools: { app: { endpoints: ["${origin.address}"] } }
`);
});
afterAll(async () => {
  await sluice.kill();
  await origin.close();
});

const claims = [
  "X-Forwarded-For: 192.0.2.7",
  "X-Forwarded-For: 198.51.100.3",
  "X-Forwarded-Proto: https",
  "X-Forwarded-Host: shop.example",
  "X-Forwarded-Port: 443",
  "X-Real-IP: 192.0.2.7",
  "Forwarded: for=192.0.2.7;proto=https",
  "X-Forwarded-Prefix: /shop",
  "X_Forwarded_For: 6.6.6.6",
  "X_Real_IP: 6.6.6.6",
  "X-Forwarded_Proto: https",
  "X_Forwarded_Whatever: 1",
];

interface Told {
  /** Lines about the client that the endpoint got, without those about ids and traces. */
  readonly lines: readonly string[];
  /** What placeholders say of source and scheme. */
  readonly believed: string | null;
}

async function told(mode: Mode, address: string, headers: readonly string[]): Promise<Told> {
  const sent = ["Host: h.example", ...headers];
  const response = await request(sluice.address(mode), { from: address, headers: sent });
  const lines = origin
    .last("/ok")
    .headers.filter(([name]) => /^(?:x[-_]forwarded|x[-_]real|forwarded$)/i.test(name))
    .map(([name, value]) => `${name}: ${value}`);
  return { lines: lines.toSorted(), believed: response.header("x-source") };
}

const port = (mode: Mode): string => sluice.address(mode).split(":")[1]!;
const ownLines = (mode: Mode, client: string): string[] =>
  [
    `X-Forwarded-For: ${client}`,
    `X-Forwarded-Host: h.example`,
    `X-Forwarded-Port: ${port(mode)}`,
    `X-Forwarded-Proto: http`,
    `X-Real-IP: ${client}`,
  ].toSorted();
const withoutUnderscores = claims.filter((line) => !line.includes("_")).toSorted();

test("append: a trusted proxy's word is kept and continued", async () => {
  const { lines, believed } = await told("append", "127.0.0.2", claims);
  expect(lines).toEqual(
    [
      "Forwarded: for=192.0.2.7;proto=https",
      "X-Forwarded-For: 192.0.2.7, 198.51.100.3, 127.0.0.2",
      "X-Forwarded-Host: shop.example",
      "X-Forwarded-Port: 443",
      "X-Forwarded-Prefix: /shop",
      "X-Forwarded-Proto: https",
      "X-Real-IP: 192.0.2.7",
    ].toSorted(),
  );
  expect(believed).toBe("198.51.100.3 https");
});

test("append: anybody else's is replaced", async () => {
  const { lines, believed } = await told("append", "127.0.0.3", claims);
  expect(lines).toEqual(ownLines("append", "127.0.0.3"));
  expect(believed).toBe("127.0.0.3 http");
});

test("preserve: all goes on as it came, whoever sent it, and nothing is added", async () => {
  for (const from of ["127.0.0.2", "127.0.0.3"]) {
    expect((await told("preserve", from, claims)).lines).toEqual(withoutUnderscores);
    expect((await told("preserve", from, [])).lines).toEqual([]);
  }
  const partly = ["X-Forwarded-Proto: https", "X-Forwarded-For: nonsense; ,"];
  expect((await told("preserve", "127.0.0.3", partly)).lines).toEqual(partly.toSorted());
});

test("remove: none goes on, and none is added", async () => {
  for (const from of ["127.0.0.2", "127.0.0.3"]) {
    expect((await told("remove", from, claims)).lines).toEqual([]);
    expect((await told("remove", from, [])).lines).toEqual([]);
  }
});

test("in every mode trusted proxies alone are believed, by placeholders and by the log", async () => {
  for (const mode of modes) {
    expect((await told(mode, "127.0.0.2", claims)).believed).toBe("198.51.100.3 https");
    expect((await told(mode, "127.0.0.3", claims)).believed).toBe("127.0.0.3 http");
    for (const from of ["127.0.0.2", "127.0.0.3"]) {
      await request(sluice.address(mode), { path: `/ok?${mode}${from}`, from, headers: claims });
    }
  }
  const clientOf = async (path: string): Promise<string> =>
    (await logged(sluice, ({ target }) => target === path)).client;
  for (const mode of modes) {
    expect(await clientOf(`/ok?${mode}127.0.0.2`)).toBe("198.51.100.3");
    expect(await clientOf(`/ok?${mode}127.0.0.3`)).toBe("127.0.0.3");
  }
});

test("request id and trace are the same business in every mode", async () => {
  for (const mode of modes) {
    await request(sluice.address(mode), { headers: ["X-Request-Id: id-1", "Traceparent: none"] });
    const { headers } = origin.last("/ok");
    const of = (name: string): string[] =>
      headers.filter(([each]) => each.toLowerCase() === name).map(([, value]) => value);
    expect(of("x-request-id")).toEqual(["id-1"]);
    expect(of("traceparent")).toEqual([expect.stringMatching(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/)]);
  }
});

test("WebSockets are told of in the same way", async () => {
  for (const mode of modes) {
    const headers = { Host: "h.example", "X-Forwarded-For": "192.0.2.7" };
    using socket = await openWebSocket(`ws://${sluice.address(mode)}/chat`, { headers });
    expect(await socket.echo("x")).toBe("x");
    const chain = origin.last("/chat").headers.filter(([name]) => /^x-forwarded-for$/i.test(name));
    const expected = { append: ["127.0.0.1"], preserve: ["192.0.2.7"], remove: [] }[mode];
    expect(chain.map(([, value]) => value)).toEqual(expected);
  }
});
