// A configuration in TypeScript: the same keys as YAML, checked and completed by the editor, with the whole language
// for what repeats. `sluice check examples/sluice.config.ts`, `sluice run examples/sluice.config.ts`.

import { defineConfig, type Pool } from "sluice";

/** Three instances of a service on neighbouring ports. */
function service(firstPort: number): Pool {
  return {
    balance: "least-connections",
    endpoints: [0, 1, 2].map((n) => ({ address: `127.0.0.1:${firstPort + n}`, id: `instance-${n + 1}` })),
    health: { path: "/health", interval: "5s", timeout: "2s" },
    slowStart: "30s",
  };
}

export default defineConfig({
  accessLog: { format: "combined" },
  listeners: {
    web: { bind: "127.0.0.1:8080", forward: "shop" },
    internal: {
      bind: "127.0.0.1:8081",
      routes: [{ forward: "billing", timeouts: { response: "5m" } }],
    },
  },
  pools: {
    shop: service(3000),
    billing: service(4000),
  },
});
