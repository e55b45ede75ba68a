// A page for the time of maintenance: while a certain file is there, everybody but the office sees it. Nothing has to
// be reloaded for that: `touch /run/shop-maintenance`, and `rm` afterwards.

import { existsSync } from "node:fs";
import { defineConfig, type HookRequest, type HookResponse } from "sluice";

const flag = process.env["MAINTENANCE_FILE"] ?? "/run/shop-maintenance";
const office = process.env["OFFICE"] ?? "198.51.100.7";
const page = `<!doctype html>
<html lang="en">
  <title>Back soon</title>
  <h1>We are back in a few minutes</h1>
</html>
`;

let isOn = false;
let lookedMs = 0;

/** Looks at most ten times a second, however many requests there are. */
function isMaintenance(): boolean {
  const nowMs = Date.now();
  if (nowMs - lookedMs >= 100) {
    lookedMs = nowMs;
    isOn = existsSync(flag);
  }
  return isOn;
}

function closeShop(request: HookRequest): HookResponse | undefined {
  if (!isMaintenance() || request.source === office) return undefined;
  return {
    status: 503,
    headers: { "content-type": "text/html; charset=utf-8", "retry-after": "300", "cache-control": "no-store" },
    body: page,
  };
}

export default defineConfig({
  listeners: {
    shop: {
      bind: "127.0.0.1:8080",
      routes: [
        { match: { prefix: "/assets" }, forward: "shop" },
        { forward: "shop", hooks: { request: closeShop, onError: "bypass" } },
      ],
    },
  },
  pools: { shop: { endpoints: ["127.0.0.1:3000", "127.0.0.1:3001"] } },
});
