// An A/B test by user: a tenth of them, always the same ones, whatever their device and without a cookie of ours. Those
// who are not logged in see what everybody sees.

import { defineConfig } from "sluice";

const percent = 10;

/** 0 to 99, evenly spread; another name of the experiment makes other groups. */
function groupOf(user: string): number {
  return Number(Bun.hash(`new-checkout ${user}`) % 100n);
}

export default defineConfig({
  listeners: {
    shop: {
      bind: "127.0.0.1:8080",
      routes: [
        {
          forward: "shop",
          hooks: {
            request(request) {
              const user = request.cookie("uid");
              const isTrial = user !== null && groupOf(user) < percent;
              if (isTrial) request.forwardTo("trial");
              request.log("experiment", isTrial ? "trial" : "shop");
            },
            response(response, request) {
              // Caches between here and the browser must not give one group's page to the other.
              response.appendHeader("vary", "cookie");
              response.setHeader("x-experiment", response.pool);
              if (request.cookie("uid") !== null) response.setHeader("cache-control", "private");
            },
          },
        },
      ],
    },
  },
  pools: {
    shop: { endpoints: ["127.0.0.1:3000", "127.0.0.1:3001"] },
    trial: { endpoints: ["127.0.0.1:3100"] },
  },
});
