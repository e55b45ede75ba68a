// The tests that a configuration carries (tests:), played against it.

import type { Config } from "../model/config.ts";
import type { RouteTestConfig } from "../model/route-config.ts";
import { compareHeader, compareLocation, comparePool, compareRoute, compareSent } from "./compare.ts";
import { compareShare, compareStatus, type Difference } from "./compare.ts";
import { atRest, explainRequest, type Situation } from "./explain-request.ts";
import type { Explanation } from "./explanation.ts";

export interface RouteTestResult {
  readonly name: string;
  readonly differences: readonly Difference[];
  /** null = no request can be made of what the test describes. */
  readonly explanation: Explanation | null;
}

/** In the order in which they are written. */
export function runRouteTests(config: Config): readonly RouteTestResult[] {
  const situation = atRest(config);
  return config.tests.map((test) => runRouteTest(situation, test));
}

export function runRouteTest(situation: Situation, test: RouteTestConfig): RouteTestResult {
  const { name, request, listener } = test;
  const explained = explainRequest(situation, request, listener);
  if ("problem" in explained) {
    const differences = [{ field: "request", expected: "one that can be sent", found: explained.problem }];
    return { name, differences, explanation: null };
  }
  return { name, differences: compare(explained, test.expect), explanation: explained };
}

function compare(explained: Explanation, expect: RouteTestConfig["expect"]): Difference[] {
  const { route, pool, share, status, location, path, host, headers } = expect;
  const differences: Difference[] = [];
  if (route !== null) differences.push(...compareRoute(explained, route));
  if (pool !== null && share === null) differences.push(...comparePool(explained, pool));
  if (pool !== null && share !== null) {
    differences.push(...compareShare(explained, pool, share.percent, share.tolerance));
  }
  if (status !== null) differences.push(...compareStatus(explained, status));
  if (location !== null) differences.push(...compareLocation(explained, location));
  if (path !== null) differences.push(...compareSent(explained, pool, "path", path, ({ target }) => target));
  if (host !== null) differences.push(...compareSent(explained, pool, "host", host, (sent) => sent.host));
  for (const { name, value } of headers) differences.push(...compareHeader(explained, pool, name, value));
  return differences;
}
