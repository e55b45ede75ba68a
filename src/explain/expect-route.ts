// Tests of routes in TypeScript: expectRoute(config, "GET http://app.example.com/users").toReach("users"). It answers
// what sluice explain answers, without a network, and throws an Error with what differs, so any test runner will do.

import { loadValue } from "../config/load.ts";
import type { SluiceConfig } from "../config/ts/define.ts";
import type { Config } from "../model/config.ts";
import { formatDiagnostic, hasErrors } from "../model/diagnostic.ts";
import { defaultTestMethod, defaultTestSource } from "../model/policy-defaults.ts";
import { compareHeader, compareLocation, comparePool, compareRoute, compareSent } from "./compare.ts";
import { compareShare, compareStatus, type Difference, summarize } from "./compare.ts";
import { type DescribedRequest, describeRequest } from "./described-request.ts";
import { atRest, explainRequest } from "./explain-request.ts";
import { type Explanation, statusOf } from "./explanation.ts";
import { runRouteTests } from "./route-tests.ts";

/** A request of a test; as text it is method and URL, or a URL alone. */
export interface TestRequest {
  /** GET unless given. */
  readonly method?: string;
  /** http://host/path?query, or a path. */
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** The client's address; 192.0.2.1 unless given. */
  readonly source?: string;
  /** The listener that gets it; needed where several could. */
  readonly listener?: string;
}

/** A configuration as defineConfig() takes it, or as readConfig() gives it. */
export type TestedConfig<P extends string = string> = SluiceConfig<P> | Config;

/** What is expected of a request. Each method throws an Error if it is not so, and gives the object back. */
export interface RouteExpectation<P extends string = string> {
  /** Everything that is known of the request: what `sluice explain --json` prints. */
  readonly explanation: Explanation;
  /** Every such request is forwarded to this pool. */
  toReach(pool: P): this;
  /** This route takes it, by its name or its number from 0. */
  toMatchRoute(name: string): this;
  /** It is redirected there; with this status, if one is given. */
  toRedirectTo(location: string, status?: number): this;
  /** It gets an answer of the balancer's own with this status: a redirect, a fixed answer, an error. */
  toAnswer(status: number): this;
  /** It gets an error answer, or none at all; with this status, if one is given (404 = no route takes it). */
  toBeRefused(status?: number): this;
  /** Endpoints get it with this field; value = false: without. */
  toSend(header: string, value: string | false): this;
  /** Path and query as endpoints get it. */
  toSendPath(path: string): this;
  /** Host as endpoints get it. */
  toSendHost(host: string): this;
  /** Of 100,000 such requests each of these pools gets this share, in percent, give or take so many points (1). */
  toSplit(shares: Readonly<Partial<Record<P, number>>>, tolerance?: number): this;
}

/** Configurations that were loaded before: a test file asks about the same one all the time. */
const loaded = new WeakMap<object, Config>();

function configOf(tested: TestedConfig): Config {
  if (Array.isArray(tested.listeners)) return tested as Config;
  const known = loaded.get(tested);
  if (known !== undefined) return known;
  const { config, diagnostics } = loadValue(tested, "config");
  if (config === null || hasErrors(diagnostics)) {
    throw new Error(`the configuration has mistakes:\n${diagnostics.map(formatDiagnostic).join("\n")}`);
  }
  loaded.set(tested, config);
  return config;
}

function described(request: string | TestRequest): DescribedRequest {
  if (typeof request === "string") return describeRequest(request);
  const { method = defaultTestMethod, url, headers = {}, source = defaultTestSource } = request;
  return { method, url, headers: Object.entries(headers).map(([name, value]) => ({ name, value })), source };
}

/** Says what becomes of a request, and lets a test expect it. Throws an Error if no such request could be sent. */
export function expectRoute<const P extends string = string>(
  config: TestedConfig<P>,
  request: string | TestRequest,
): RouteExpectation<P> {
  const listener = typeof request === "string" ? null : (request.listener ?? null);
  const explained = explainRequest(atRest(configOf(config as TestedConfig)), described(request), listener);
  if (!("problem" in explained)) return new Expectation<P>(explained);
  const hint = explained.candidates.length === 0 ? "" : '; write { url: "…", listener: "…" }';
  throw new Error(`${explained.problem}${hint}`);
}

class Expectation<P extends string> implements RouteExpectation<P> {
  readonly explanation: Explanation;

  constructor(explanation: Explanation) {
    this.explanation = explanation;
  }

  toReach(pool: P): this {
    return this.expect(comparePool(this.explanation, pool));
  }

  toMatchRoute(name: string): this {
    return this.expect(compareRoute(this.explanation, name));
  }

  toRedirectTo(location: string, status?: number): this {
    const differences = compareLocation(this.explanation, location);
    if (status !== undefined) differences.push(...compareStatus(this.explanation, status));
    return this.expect(differences);
  }

  toAnswer(status: number): this {
    return this.expect(compareStatus(this.explanation, status));
  }

  toBeRefused(status?: number): this {
    const { outcome } = this.explanation;
    const refused = outcome.kind === "refused" || (outcome.kind === "forward" && statusOf(this.explanation) !== null);
    const expected = status === undefined ? "any" : String(status);
    const wrong = status !== undefined && statusOf(this.explanation) !== status;
    const found = summarize(this.explanation);
    return this.expect(refused && !wrong ? [] : [{ field: "refusal", expected, found }]);
  }

  toSend(header: string, value: string | false): this {
    const expected = value === false ? null : value;
    return this.expect(compareHeader(this.explanation, null, header, expected));
  }

  toSendPath(path: string): this {
    return this.expect(compareSent(this.explanation, null, "path", path, ({ target }) => target));
  }

  toSendHost(host: string): this {
    return this.expect(compareSent(this.explanation, null, "host", host, (sent) => sent.host));
  }

  toSplit(shares: Readonly<Partial<Record<P, number>>>, tolerance = 1): this {
    const wanted = Object.entries<number | undefined>(shares);
    const differences = wanted.flatMap(([pool, percent]) =>
      percent === undefined ? [] : compareShare(this.explanation, pool, percent, tolerance),
    );
    return this.expect(differences);
  }

  private expect(differences: readonly Difference[]): this {
    if (differences.length === 0) return this;
    const error = new Error(complain(this.explanation, differences));
    Error.captureStackTrace(error, this.expect); // the place to look at is the test's
    throw error;
  }
}

function complain(explanation: Explanation, differences: readonly Difference[]): string {
  const { request, routes } = explanation;
  const lines = differences.map(({ field, expected, found }) => `  ${field}: expected ${expected}, found ${found}`);
  const passed = routes.map(({ name, takes, reason }) => `  route ${name}: ${takes ? "takes it" : reason}`);
  return [`${request.method} ${request.url}`, ...lines, ...passed].join("\n");
}

/** A test that the configuration carries under tests:. */
export interface CarriedTest {
  readonly name: string;
  /** Throws an Error with what differs. */
  run(): void;
}

/**
 * The tests of the configuration, for a test runner: `for (const { name, run } of routeTests(config)) test(name, run);`
 */
export function routeTests(config: TestedConfig): readonly CarriedTest[] {
  return runRouteTests(configOf(config)).map(({ name, differences, explanation }) => ({
    name,
    run() {
      if (differences.length === 0) return;
      if (explanation === null) throw new Error(differences[0]!.found);
      throw new Error(complain(explanation, differences));
    },
  }));
}
