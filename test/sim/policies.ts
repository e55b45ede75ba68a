// What a route may have besides a pool: conditions, rewriting, edits, retries, limits, arms, stickiness, questions to
// an authentication service, copies for a mirror, hooks; and of a pool its circuit, its outliers, its stickiness. Drawn
// anew for each run and changed by reloads, together with what endpoints and clients must see of it. Every route says
// in a field of its requests and responses which variant it is and what it took the request for: facts of another
// request there are a violation.

import type { HookFunctions } from "../../src/config/ts/hooks.ts";
import type { HookRequest, HookResponse } from "../../src/config/ts/hook-types.ts";
import { OFF, type PoolConfig, type RouteConfig } from "../../src/model/config.ts";
import { defaultCircuit, defaultMatch, defaultRetry } from "../../src/model/defaults.ts";
import {
  defaultCookie,
  defaultForwardAuth,
  defaultHooks,
  defaultMirror,
  defaultRateLimit,
} from "../../src/model/policy-defaults.ts";
import type { CircuitConfig, LimitKey, MatchConfig, RetryConfig } from "../../src/model/route-config.ts";
import type { Dice } from "./dice.ts";
import type { RequestSpec } from "./ledger.ts";

/** Names of the fields in which a route says what it took a request for. */
export const policyField = "X-Policy";
export const answerField = "X-Answer";
export const hookField = "X-Hook";
/** The one that the authentication service says who the user is in. */
export const userField = "X-User";
/** Fields that routes take out of requests and out of responses. */
export const goneField = "X-Sim-Gone";
export const backField = "X-Sim-Back";

/** Pools that answer questions and swallow copies. */
export const authPool = "auth";
export const mirrorPool = "mirror";

interface Variant {
  readonly name: string;
  readonly match: MatchConfig;
  readonly rewritesPath: boolean;
  readonly rewritesHost: boolean;
  readonly asks: "never" | "always" | "remembering";
  readonly hooks: "none" | "bypass" | "fail";
  readonly config: Partial<RouteConfig>;
  /** More than one = a weighted forward. */
  readonly pools: number;
}

const matches: readonly MatchConfig[] = [
  { ...defaultMatch, methods: ["GET", "HEAD"] },
  { ...defaultMatch, regexes: ["^/r/[0-9]*[02468]$"] },
  { ...defaultMatch, prefixes: ["/r"], methods: ["POST", "PUT", "GET"] },
  { ...defaultMatch, headers: [{ name: "x-request-id", patterns: [], absent: false }] },
];

export class Policies {
  /** For all routes of the run: the ledger judges by it. */
  readonly retry: RetryConfig;
  private readonly dice: Dice;
  private readonly variants: readonly Variant[];
  /** By listener: the variants in force, the last one without conditions. */
  private readonly chosen = new Map<string, readonly Variant[]>();
  private readonly poolParts = new Map<string, Partial<PoolConfig>>();
  private readonly changed = new Set<string>();
  /** Cookies of ours that clients have been given. */
  private readonly jar: string[] = [];

  constructor(dice: Dice) {
    this.dice = dice;
    this.retry = {
      ...defaultRetry,
      attempts: dice.whole(0, 2),
      on: [
        "connect",
        "refused",
        ...dice.pick([[], ["reset", "timeout", 500] as const, ["reset", 503, 500, 404] as const]),
      ],
      nonIdempotent: dice.chance(0.3),
      bufferBytes: dice.pick([0, 1000, 64 * 1024, 1024 * 1024]),
      attemptMs: dice.chance(0.3) ? dice.whole(100, 800) : OFF,
      budgetMin: dice.pick([0, 100, 100]),
    };
    this.variants = Array.from({ length: 6 }, (_, i) => this.variant(`v${i}`));
    for (const pool of ["main", "other"]) this.changePool(pool);
  }

  /** A random change. */
  change(): void {
    this.chosen.delete(this.dice.pick(["web", "side"]));
    if (this.dice.chance(0.7)) return;
    const pool = this.dice.pick(["main", "other"]);
    this.changePool(pool);
    this.noteChange(pool);
  }

  /** From now on the pool may have more under way than it is allowed to begin. */
  noteChange(pool: string): void {
    this.changed.add(pool);
  }

  /** The bounds of a pool that must hold: it has never had others, nor has an endpoint come back with connections. */
  circuitOf(pool: string): CircuitConfig {
    return (this.changed.has(pool) ? undefined : this.poolParts.get(pool)?.circuit) ?? defaultCircuit;
  }

  private changePool(pool: string): void {
    const { dice } = this;
    this.poolParts.set(pool, {
      sticky: dice.pick<PoolConfig["sticky"]>([
        null,
        { by: "cookie", cookie: { ...defaultCookie, name: `P-${pool}` } },
        { by: "source-ip", ttlMs: 1000, size: 32 },
        { by: "app-cookie", name: "SID", ttlMs: 1000, size: 32 },
      ]),
      circuit: dice.chance(0.5)
        ? { connections: dice.pick([OFF, 2, 6]), pending: dice.pick([OFF, 3]), requests: dice.pick([OFF, 2, 6]) }
        : defaultCircuit,
      outlier: dice.chance(0.5)
        ? {
            consecutiveFailures: 2,
            intervalMs: 300,
            ejectionMs: 200,
            maxEjectionMs: 1000,
            maxEjectedPercent: 50,
            successRate: null,
          }
        : null,
    });
  }

  poolPart(pool: string): Partial<PoolConfig> {
    return this.poolParts.get(pool) ?? {};
  }

  private variant(name: string): Variant {
    const { dice } = this;
    const by = (): LimitKey =>
      dice.pick<LimitKey>([
        { from: "source", name: "" },
        { from: "header", name: "x-sim-id" },
        { from: "route", name: "" },
      ]);
    const rewritesPath = dice.chance(0.4);
    const rewritesHost = dice.chance(0.3);
    const asks = dice.pick(["never", "never", "always", "remembering"] as const);
    const hooks = dice.pick(["none", "none", "bypass", "fail"] as const);
    const facts = `${name};{method};{path};{requestId};{header.x-sim-id}`;
    const config: Partial<RouteConfig> = {
      rewrite:
        rewritesPath || rewritesHost
          ? {
              path: rewritesPath ? "^/r/([0-9]+)$" : null,
              to: "/w/$1/{header.x-sim-id}",
              host: rewritesHost ? "h{header.x-sim-id}.example" : null,
            }
          : null,
      requestHeaders: { remove: [goneField], set: [{ name: policyField, value: facts }], add: [] },
      responseHeaders: { remove: [backField], set: [{ name: answerField, value: facts }], add: [] },
      retry: this.retry,
      rateLimits: dice.chance(0.3)
        ? [
            {
              ...defaultRateLimit,
              requests: dice.whole(5, 50),
              burst: dice.whole(2, 20),
              by: by(),
              scope: dice.pick(["exact", "worker"]),
              keys: 64,
            },
          ]
        : [],
      concurrency: dice.chance(0.3) ? [{ requests: dice.whole(1, 4), by: by() }] : [],
      forwardAuth:
        asks === "never"
          ? null
          : {
              ...defaultForwardAuth,
              pool: authPool,
              path: "/ask?m={method}&p={path}",
              timeoutMs: dice.whole(100, 600),
              copyHeaders: [userField.toLowerCase()],
              cacheMs: asks === "always" ? OFF : 400,
              cacheKey: ["cookie"],
              onError: dice.pick(["refuse", "allow"]),
            },
      compress: dice.chance(0.4)
        ? { codings: ["gzip"], types: ["text/*"], minBytes: dice.pick([1, 500]), level: 1 }
        : null,
      mirror: dice.chance(0.6)
        ? {
            ...defaultMirror,
            pool: mirrorPool,
            percent: dice.pick([30, 100]),
            bodyBytes: dice.pick([0, 3000, 100_000, 1_000_000]),
          }
        : null,
    };
    const match = dice.pick(matches);
    return { name, match, rewritesPath, rewritesHost, asks, hooks, config, pools: dice.pick([1, 1, 2]) };
  }

  private variantsOf(listener: string): readonly Variant[] {
    const known = this.chosen.get(listener);
    if (known !== undefined) return known;
    const { dice } = this;
    const count = dice.whole(1, 3);
    const list = Array.from({ length: count }, () => dice.pick(this.variants));
    const unique = list.filter((variant, i) => list.indexOf(variant) === i);
    this.chosen.set(listener, unique);
    return unique;
  }

  /** The routes of a listener whose pool is `pool`. */
  routes(listener: string, plain: RouteConfig, pool: string, slots: HookFunctions[]): readonly RouteConfig[] {
    const chosen = this.variantsOf(listener);
    return chosen.map((variant, i): RouteConfig => {
      const pools = variant.pools === 1 ? [pool] : ["main", "other"];
      const functions = variant.hooks === "none" ? null : this.functions(listener, i);
      if (functions !== null) slots.push(functions);
      return {
        ...plain,
        ...variant.config,
        name: variant.name,
        match: i === chosen.length - 1 ? defaultMatch : variant.match,
        action: {
          kind: "forward",
          arms: pools.map((name, k) => ({ pool: name, weight: k + 1 })),
          sticky: pools.length > 1 && i % 2 === 0 ? { cookie: { ...defaultCookie, name: "ARM" } } : null,
        },
        hooks:
          functions === null
            ? null
            : {
                ...defaultHooks,
                slot: slots.length - 1,
                request: true,
                response: functions.response !== null,
                onError: variant.hooks === "bypass" ? "bypass" : "fail",
              },
      };
    });
  }

  /** They answer at once: promises have no place in virtual time. */
  private functions(listener: string, route: number): HookFunctions {
    const { dice } = this;
    const note = (request: HookRequest): string =>
      `${request.method};${request.path};${request.requestId};${request.header("x-sim-id")}`;
    const maybeThrow = (): void => {
      if (dice.chance(0.05)) throw new Error("a hook's bug");
    };
    return {
      listener,
      route,
      request: (request): HookResponse | undefined => {
        maybeThrow();
        request.setHeader(hookField, note(request));
        return dice.chance(0.05) ? { status: 418, headers: {}, body: "a teapot" } : undefined;
      },
      response: (response, request) => {
        maybeThrow();
        response.setHeader(hookField, note(request));
      },
    };
  }

  // ---- what is to be seen of it

  /** Cookies a client may send: such as one of ours got, or one that somebody has tampered with. */
  cookieLine(dice: Dice): string | null {
    if (this.jar.length === 0 || !dice.chance(0.5)) return null;
    const cookie = dice.pick(this.jar);
    return `Cookie: ${dice.chance(0.1) ? cookie.slice(0, -3) : cookie}`;
  }

  noteCookie(value: string): void {
    if (this.jar.length < 50) this.jar.push(value.split(";")[0]!);
  }

  /** What is wrong with such a field, or "". */
  private facts(spec: RequestSpec, requestId: string | null, parts: readonly string[]): string {
    const path = (spec.wantedStart.split(" ")[1] ?? "").replace(/\?.*$/, "");
    const [method, itsPath, id, simId] = parts;
    if (method !== spec.method || itsPath !== path || simId !== String(spec.id)) return "facts of another request";
    return requestId !== null && id !== requestId ? "another request's id" : "";
  }

  /** What is wrong with a request as an endpoint got it, or "". one = the only value of a field, or null. */
  checkRequest(spec: RequestSpec, start: string, one: (name: string) => string | null): string {
    const [name, ...parts] = (one(policyField) ?? "").split(";");
    const variant = this.variants.find((each) => each.name === name);
    if (variant === undefined) return `no ${policyField}`;
    const requestId = one("x-request-id");
    const wrong = this.facts(spec, requestId, parts);
    if (wrong !== "") return `${policyField}: ${wrong}`;
    if (start !== this.wantedStart(spec, variant)) return `start line, not ${this.wantedStart(spec, variant)}`;
    const host = variant.rewritesHost ? `h${spec.id}.example` : spec.wantedHost;
    if (host !== "" && one("host") !== host) return `Host is not ${host}`;
    const hook = one(hookField);
    if (variant.hooks === "none" ? hook !== null : variant.hooks === "fail" && hook === null) return hookField;
    if (hook !== null && this.facts(spec, requestId, hook.split(";")) !== "") return `${hookField}: another request's`;
    const user = one(userField);
    if (user === null || variant.asks === "remembering") return "";
    return user === (variant.asks === "always" ? `u${spec.id}` : "forged") ? "" : `${userField}: ${user}`;
  }

  private wantedStart(spec: RequestSpec, variant: Variant): string {
    if (!variant.rewritesPath) return spec.wantedStart;
    return spec.wantedStart.replace(/ \/r\/([0-9]+)(\?| )/, (_all, id: string, end: string) => ` /w/${id}/${id}${end}`);
  }

  /** The same for a response as a client got it. */
  checkResponse(spec: RequestSpec, requestId: string | null, one: (name: string) => string | null): string {
    const [, ...parts] = (one(answerField) ?? "").split(";");
    const wrong = this.facts(spec, requestId, parts);
    if (wrong !== "") return `${answerField}: ${wrong}`;
    const hook = one(hookField);
    return hook === null || this.facts(spec, requestId, hook.split(";")) === ""
      ? ""
      : `${hookField}: another request's`;
  }

  /** Fields that may be in a request, or in a response, and that neither endpoint nor client has put there. */
  static readonly addedToRequests: readonly string[] = [policyField, hookField, userField].map((name) =>
    name.toLowerCase(),
  );
  static readonly addedToResponses: readonly string[] = [
    answerField,
    hookField,
    "ratelimit-policy",
    "ratelimit",
    "ratelimit-limit",
    "ratelimit-remaining",
    "ratelimit-reset",
    "vary",
    "content-encoding",
  ].map((name) => name.toLowerCase());
}
