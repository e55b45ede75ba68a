// What defineConfig lets the compiler refuse. The test itself is `bun check`: an expected error that is none fails
// there.

import { expect, test } from "bun:test";
import { loadValue } from "../load.ts";
import { defineConfig } from "./define.ts";

test("a typed configuration loads", () => {
  const config = defineConfig({
    accessLog: "off",
    admin: "off",
    listeners: {
      web: {
        bind: "127.0.0.1:8080",
        forward: "app",
        timeouts: { idle: "75s" },
        limits: { headBytes: "64k", bodyBytes: 1024 },
      },
      api: { bind: ["127.0.0.1:8081"], routes: [{ forward: "api", timeouts: { total: "off" } }] },
      all: {
        bind: "127.0.0.1:8082",
        routes: [
          { match: { path: ["/a", "/b"], headers: { "x-a": true, "x-b": { not: "1" } } }, redirect: "/c" },
          { match: { method: "GET", source: "10.0.0.0/8" }, respond: { status: 404, headers: { "x-a": ["1", "2"] } } },
          {
            forward: [{ pool: "app", weight: 9 }, { pool: "api" }],
            sticky: { ttl: "1h" },
            retry: { on: ["connect", 503], budget: "12.5%" },
            rateLimit: { requests: 10, by: "header:x-key" },
            mirror: { pool: "app", share: "1%" },
            forwardAuth: { pool: "api", path: "/verify" },
            cors: true,
            compress: "off",
          },
        ],
      },
    },
    pools: {
      app: { endpoints: ["a:1"], balance: { by: "consistent-hash", key: "header:x-user", load: "125%" } },
      api: {
        endpoints: [{ address: "a:1", weight: 2 }],
        health: { expect: { status: [200, "300-399"] } },
        passive: "off",
      },
    },
    tests: [{ listener: "all", request: "GET /a", expect: { status: 302 } }],
  });
  const { config: loaded, diagnostics } = loadValue(config, "sluice.config.ts");
  expect(diagnostics).toEqual([]);
  expect(loaded?.pools.map((pool) => pool.name)).toEqual(["app", "api"]);
});

test("hooks know the pools and what a request has", () => {
  const config = defineConfig({
    listeners: {
      web: {
        bind: "127.0.0.1:8080",
        routes: [
          {
            match: { path: "/a" },
            forward: "app",
            hooks: {
              request(request) {
                if (request.path === "/api") request.forwardTo("api");
                // @ts-expect-error -- there is no such pool
                request.forwardTo("ap");
                // @ts-expect-error -- a request has no body here
                void request.body;
                // @ts-expect-error -- null, if there is no such field
                request.setHeader("x-a", request.header("x-b"));
                return request.cookie("a") === null ? { status: 401 } : undefined;
              },
              async response(response, request) {
                response.setHeader("x-a", [String(response.status), request.requestId]);
                await Promise.resolve();
                // @ts-expect-error -- the status stays
                response.status = 200;
              },
              timeout: "1s",
            },
          },
          {
            match: { path: "/b" },
            forward: "app",
            // @ts-expect-error -- a status is a number
            hooks: { request: () => ({ status: "200" }) },
          },
          {
            match: { path: "/c" },
            forward: "app",
            // @ts-expect-error -- a response hook has nothing to say
            hooks: { response: () => Promise.resolve({ status: 200 }) },
          },
        ],
      },
    },
    pools: { app: { endpoints: ["a:1"] }, api: { endpoints: ["a:1"] } },
  });
  expect(loadValue(config, "sluice.config.ts").diagnostics).toEqual([]);
});

test("mistakes the compiler finds", () => {
  const wrong = [
    defineConfig({
      listeners: {
        web: {
          bind: "127.0.0.1:8080",
          // @ts-expect-error -- there is no such pool
          forward: "ap",
        },
      },
      pools: { app: { endpoints: ["a:1"] } },
    }),
    defineConfig({
      listeners: {},
      // @ts-expect-error -- a duration has a unit
      pools: { app: { endpoints: ["a:1"], slowStart: "30" } },
    }),
    defineConfig({
      listeners: {},
      // @ts-expect-error -- a misspelt key
      pools: { app: { endpoints: ["a:1"], slowstart: "30s" } },
    }),
    defineConfig({
      listeners: {},
      // @ts-expect-error -- no such algorithm
      pools: { app: { endpoints: ["a:1"], balance: "least-connection" } },
    }),
    defineConfig({
      // @ts-expect-error -- there is no such pool
      listeners: { web: { bind: "127.0.0.1:80", routes: [{ forward: "app", mirror: "ap" }] } },
      pools: { app: { endpoints: ["a:1"] } },
    }),
    defineConfig({
      // @ts-expect-error -- there is no such pool
      listeners: { web: { bind: "127.0.0.1:80", routes: [{ forward: [{ pool: "app" }, { pool: "ap" }] }] } },
      pools: { app: { endpoints: ["a:1"] } },
    }),
    defineConfig({
      // @ts-expect-error -- either forward or redirect
      listeners: { web: { bind: "127.0.0.1:80", routes: [{ forward: "app", redirect: "/" }] } },
      pools: { app: { endpoints: ["a:1"] } },
    }),
    defineConfig({
      listeners: { web: { bind: "127.0.0.1:80", forward: "app" } },
      pools: { app: { endpoints: ["a:1"] } },
      // @ts-expect-error -- there is no such pool
      tests: [{ request: "/", expect: { pool: "ap" } }],
    }),
    defineConfig({
      listeners: {
        // @ts-expect-error -- either forward or routes
        web: { bind: "127.0.0.1:80", forward: "app", routes: [] },
      },
      pools: { app: { endpoints: ["a:1"] } },
    }),
  ];
  // What the compiler refuses, the checks refuse as well.
  for (const config of wrong) expect(loadValue(config, "x").config).toBeNull();
});
