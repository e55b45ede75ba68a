// Routes and what hangs on them, as every front end produces them: matching, actions, edits, limits, access. Everything
// is resolved, as in config.ts: durations are milliseconds, sizes bytes, lists never undefined. Plain data, as JSON.

import type { HashKey } from "./config.ts";

/** All given conditions must hold; an empty list is no condition. */
export interface MatchConfig {
  /** Lower case, without port: "app.example.com" or "*.example.com" (any number of labels before it). Any one. */
  readonly hosts: readonly string[];
  /** Whole paths with ALB wildcards: * = any number of characters, ? = exactly one. Case-sensitive. Any one. */
  readonly paths: readonly string[];
  /** Path prefixes by whole segments: /static matches /static and /static/x, not /statics. Any one. */
  readonly prefixes: readonly string[];
  /** Regular expressions on the path (linear-time engine), unanchored unless they say ^ or $. Any one. */
  readonly regexes: readonly string[];
  /** Upper case. Any one. */
  readonly methods: readonly string[];
  /** Each must hold. Names lower case. */
  readonly headers: readonly FieldMatch[];
  /** Each must hold. Names case-sensitive. */
  readonly cookies: readonly FieldMatch[];
  readonly query: readonly FieldMatch[];
  /** Blocks the client's address must be in (behind trusted proxies the forwarded one). Any one. */
  readonly sources: readonly string[];
}

/** A named value: any one of the patterns (wildcards * and ?) fits one of its occurrences; none given = it is there. */
export interface FieldMatch {
  readonly name: string;
  readonly patterns: readonly string[];
  /** True: must not be there (with patterns: must not fit any). */
  readonly absent: boolean;
}

export type ActionConfig =
  | {
      readonly kind: "forward";
      /** One or several pools; shares by weight. */
      readonly arms: readonly ForwardArm[];
      /** Keeps a client on its side; null = each request is drawn anew. */
      readonly sticky: ArmStickyConfig | null;
    }
  | {
      readonly kind: "redirect";
      /** A template: placeholders, see docs. */
      readonly to: string;
      readonly status: 301 | 302 | 303 | 307 | 308;
    }
  | {
      readonly kind: "respond";
      readonly status: number;
      /** A template. */
      readonly body: string;
      readonly headers: readonly HeaderLine[];
    };

export interface ForwardArm {
  readonly pool: string;
  /** 0 to 1000; 0 = only clients that are already on that side. */
  readonly weight: number;
}

export interface ArmStickyConfig {
  readonly cookie: CookieConfig;
}

/** A cookie of ours. */
export interface CookieConfig {
  readonly name: string;
  /** OFF = until the browser closes. */
  readonly ttlMs: number;
  /** auto = on connections that came by TLS (or, from a trusted proxy, with X-Forwarded-Proto: https). */
  readonly secure: "auto" | "always" | "never";
  readonly httpOnly: boolean;
  readonly sameSite: "strict" | "lax" | "none" | "unset";
  readonly path: string;
  /** "" = the host only. */
  readonly domain: string;
}

/** value is a template. */
export interface HeaderLine {
  readonly name: string;
  readonly value: string;
}

/** Done in this order: remove, set, add. Names as typed; compared without case. */
export interface HeaderEdits {
  readonly remove: readonly string[];
  readonly set: readonly HeaderLine[];
  readonly add: readonly HeaderLine[];
}

export interface RewriteConfig {
  /** Regular expression on the path (linear-time engine); null = the path stays. */
  readonly path: string | null;
  /** What a match is replaced by: $1 … $9 captures, $0 the whole match, $$ a dollar, and {placeholders}. */
  readonly to: string;
  /** The Host that endpoints see, a template; null = the client's. */
  readonly host: string | null;
}

/** What of an answer or failure makes a request worth repeating. */
export type RetryCause = "connect" | "refused" | "reset" | "timeout" | number;

export interface RetryConfig {
  /** Further attempts after the first; 0 = none. A connect that failed is not counted: nothing was sent. */
  readonly attempts: number;
  /** connect: no connection; refused: the endpoint refused it; reset, timeout: after sending; numbers: its status. */
  readonly on: readonly RetryCause[];
  /** Repeats per worker may be at most this share of its recent requests of the pool, in percent. */
  readonly budgetPercent: number;
  /** Repeats per second that are allowed whatever the share says. */
  readonly budgetMin: number;
  /** Request bodies up to this size are kept for a repeat; 0 = only requests without a body are repeated. */
  readonly bufferBytes: number;
  /** Also repeat methods that are not idempotent (POST, PATCH) after they may have been received. */
  readonly nonIdempotent: boolean;
  /** Each attempt's deadline for the response head; OFF = timeouts.response only. */
  readonly attemptMs: number;
}

/** What a limit counts by: a HashKey, or all requests of the route together. */
export type LimitKey = HashKey | { readonly from: "route"; readonly name: "" };

export interface RateLimitConfig {
  /** requests in perMs on average; */
  readonly requests: number;
  readonly perMs: number;
  /** and at most this many at once (the bucket's size); at least 1. */
  readonly burst: number;
  readonly by: LimitKey;
  /** exact = across all workers, by shared memory; worker = each worker counts for itself with its share. */
  readonly scope: "exact" | "worker";
  /** Distinct keys remembered; the least recently used go first. */
  readonly keys: number;
  /** Status of the refusal, 429 by default. */
  readonly status: number;
}

export interface ConcurrencyConfig {
  /** Requests of one key in progress, all workers together; more are answered 429. */
  readonly requests: number;
  readonly by: LimitKey;
}

export interface AccessConfig {
  /** Blocks; empty = everybody. */
  readonly allow: readonly string[];
  /** Blocks; deny wins over allow. */
  readonly deny: readonly string[];
}

export interface BasicAuthConfig {
  readonly realm: string;
  /** User name and hash of the password: bcrypt ($2a$, $2b$, $2y$), argon2 ($argon2id$), SHA-crypt ($5$, $6$). */
  readonly users: readonly { readonly name: string; readonly hash: string }[];
  /** Passes the name on in this header; "" = not. */
  readonly userHeader: string;
  /** Leaves the client's Authorization field in the request. */
  readonly passAuthorization: boolean;
}

export interface ForwardAuthConfig {
  /** The pool that is asked. */
  readonly pool: string;
  /** Path and query of the question, a template. */
  readonly path: string;
  readonly timeoutMs: number;
  /** Lower-case names of request fields that are sent along; empty = all but the body's, with a cache none. */
  readonly requestHeaders: readonly string[];
  /** Fields of a 2xx answer that are copied into the request, replacing the client's. */
  readonly copyHeaders: readonly string[];
  /** How long a 2xx answer is good for all who would have asked the same; OFF = never. */
  readonly cacheMs: number;
  /** With a cache: further names of request fields that are sent along (authorization, cookie …). */
  readonly cacheKey: readonly string[];
  /** When the service does not answer, or with 5xx: refuse (503) or let pass. */
  readonly onError: "refuse" | "allow";
}

export interface CorsConfig {
  /** Origins with wildcards, or "*". */
  readonly origins: readonly string[];
  readonly methods: readonly string[];
  /** Request fields allowed; "*" = whatever is asked for. */
  readonly headers: readonly string[];
  readonly expose: readonly string[];
  readonly credentials: boolean;
  readonly maxAgeMs: number;
}

export type Coding = "zstd" | "br" | "gzip";

export interface CompressConfig {
  /** In order of preference; the client's q-values come first. */
  readonly codings: readonly Coding[];
  /** Media types with wildcards: text/*, application/json … */
  readonly types: readonly string[];
  /** Answers known to be shorter are left alone. */
  readonly minBytes: number;
  /** 1 = fastest to 9 = smallest, mapped to each coding's own scale. */
  readonly level: number;
}

/** Slower ones are cut once they are graceMs behind (408 for a request, reset for a response). */
export interface MinRateConfig {
  /** Bytes per second of request bodies; OFF = any. */
  readonly request: number;
  /** Bytes per second a client must take of a response that waits for it; OFF = any. */
  readonly response: number;
  readonly graceMs: number;
}

export interface MirrorConfig {
  readonly pool: string;
  /** Share of requests that are copied, in percent (0.01 to 100). */
  readonly percent: number;
  /** Requests with a longer body are not copied. */
  readonly bodyBytes: number;
}

/** Functions of a TypeScript configuration. They stay in their module: workers load it and find them by these. */
export interface HooksConfig {
  /** Number of the hook set within the module's configuration, in the order of appearance. */
  readonly slot: number;
  readonly request: boolean;
  readonly response: boolean;
  /** For the promise of an asynchronous hook. */
  readonly timeoutMs: number;
  /** fail = 500; bypass = as if the hook were not there. */
  readonly onError: "fail" | "bypass";
}

/** Stickiness of a pool. */
export type StickyConfig =
  | { readonly by: "cookie"; readonly cookie: CookieConfig }
  | {
      /** The application's own cookie, learned from responses. */
      readonly by: "app-cookie";
      readonly name: string;
      /** Forgotten after so long without use. */
      readonly ttlMs: number;
      /** Entries remembered, all workers together. */
      readonly size: number;
    }
  | { readonly by: "source-ip"; readonly ttlMs: number; readonly size: number };

export interface OutlierConfig {
  /** Failures (connect, reset, timeout, 5xx) in a row that eject; OFF = not by this. */
  readonly consecutiveFailures: number;
  /** Success rates are compared this often. */
  readonly intervalMs: number;
  /** First ejection; n-th one n times as long, up to maxEjectionMs. */
  readonly ejectionMs: number;
  readonly maxEjectionMs: number;
  /** At most this share of the pool's endpoints is ejected, in percent; one may always be. */
  readonly maxEjectedPercent: number;
  /** Ejects those below mean - factor * standard deviation; null = not by this. */
  readonly successRate: {
    readonly minEndpoints: number;
    readonly minRequests: number;
    /** As in Envoy: 1.9 by default. */
    readonly stdevFactor: number;
  } | null;
}

/** Bounds of a whole pool, all workers together; OFF = none. */
export interface CircuitConfig {
  readonly connections: number;
  /** Requests waiting in the queue. */
  readonly pending: number;
  /** Requests in progress. */
  readonly requests: number;
}

/** Where endpoints come from besides those that are written down. */
export type DiscoveryConfig =
  | {
      readonly from: "dns";
      readonly name: string;
      /** address = every A and AAAA record is an endpoint on `port`; srv = port, priority and weight by the records. */
      readonly type: "address" | "srv";
      readonly port: number;
    }
  | {
      /** A YAML or JSON list of endpoints, as under endpoints:, that is watched. */
      readonly from: "file";
      readonly path: string;
    };

/** How request paths are brought into one form for matching and forwarding. */
export interface PathsConfig {
  /**
   * normalize = one form for both (dot segments removed, unreserved characters decoded, escapes upper case);
   * strict = refuses with 400 what is not in that form already; raw = matched and forwarded as it came.
   */
  readonly mode: "normalize" | "strict" | "raw";
  /** Empty segments (//): merge into one, keep, or refuse. */
  readonly slashes: "merge" | "keep" | "refuse";
  /** %2F and %5C: refuse (400), or keep as they are (never a separator). */
  readonly encodedSlashes: "refuse" | "keep";
}

/** A test written in the configuration. */
export interface RouteTestConfig {
  readonly name: string;
  readonly listener: string | null;
  readonly request: {
    readonly method: string;
    /** http://host/path?query, or a path. */
    readonly url: string;
    readonly headers: readonly { readonly name: string; readonly value: string }[];
    readonly source: string;
  };
  readonly expect: {
    /** Name of the route; null = not looked at. */
    readonly route: string | null;
    /** Name of the pool, with its share of simulated draws if given. */
    readonly pool: string | null;
    readonly share: { readonly percent: number; readonly tolerance: number } | null;
    readonly status: number | null;
    /** Location of a redirect. */
    readonly location: string | null;
    /** Path and Host as the endpoint sees them. */
    readonly path: string | null;
    readonly host: string | null;
    /** Request fields as the endpoint sees them; null = not there. */
    readonly headers: readonly { readonly name: string; readonly value: string | null }[];
  };
}
