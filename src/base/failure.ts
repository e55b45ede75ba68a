// A failure is one number: which side failed, in which phase, from which cause, and whether the connection was a reused
// one. One table turns it into status, blame and retry rule; nobody else decides these. No exceptions on the traffic
// path.

/** A packed failure: cause | side << 8 | phase << 12 | reused << 16. Zero is "no failure". */
export type Failure = number;

/** What went wrong. */
export const FailureCause = {
  None: 0,
  Refused: 1, // connect refused, unreachable or no such name
  Reset: 2, // connection reset or closed before the message was whole
  Timeout: 3,
  Protocol: 4, // bytes that break RFC 9110/9112
  TooLarge: 5, // head, header count or target over the limit
  BodyTooLarge: 6,
  Unsupported: 7, // transfer coding or method this proxy does not do
  Full: 8, // a limit or a queue of ours is full
  NoEndpoint: 9, // nobody usable
  Resources: 10, // out of descriptors, memory or exchanges
  Drain: 11, // stopped by the operator
  Internal: 12, // a bug of ours
  UriTooLong: 13,
  Expectation: 14,
  Version: 15,
  Circuit: 16, // a circuit limit of the pool
  Denied: 17, // the route does not admit this client or request
  Limited: 18, // a limit of the route on requests
  Hook: 19, // a hook of the configuration threw or was late
} as const;
export type FailureCause = (typeof FailureCause)[keyof typeof FailureCause];

/** Who ended it. */
export const Side = { None: 0, Client: 1, Proxy: 2, Endpoint: 3 } as const;
export type Side = (typeof Side)[keyof typeof Side];

/** In which phase of the exchange. */
export const Phase = {
  None: 0,
  RequestHead: 1,
  RequestBody: 2,
  Queue: 3,
  Connect: 4,
  ResponseHead: 5,
  ResponseBody: 6,
  Tunnel: 7,
} as const;
export type Phase = (typeof Phase)[keyof typeof Phase];

export function failure(side: Side, phase: Phase, cause: FailureCause, reused = false): Failure {
  return cause | (side << 8) | (phase << 12) | (reused ? 1 << 16 : 0);
}
export function causeOf(f: Failure): FailureCause {
  return (f & 0xff) as FailureCause;
}
export function sideOf(f: Failure): Side {
  return ((f >> 8) & 0xf) as Side;
}
export function phaseOf(f: Failure): Phase {
  return ((f >> 12) & 0xf) as Phase;
}
export function wasReused(f: Failure): boolean {
  return (f & (1 << 16)) !== 0;
}

/**
 * always = nothing was sent; idempotent = the request may have been received, nothing of an answer came; reused = the
 * same on a kept connection, which the endpoint probably closed before it read the request; never.
 */
export type RetryRule = "never" | "reused" | "idempotent" | "always";

export interface FailureRule {
  /** The status the client gets if no response byte has left yet; 0 = just close. */
  readonly status: number;
  /** Counts against the endpoint's passive health. */
  readonly blamesEndpoint: boolean;
  readonly retry: RetryRule;
}

const clientStatus: Readonly<Record<number, number>> = {
  [FailureCause.Timeout]: 408,
  [FailureCause.Protocol]: 400,
  [FailureCause.TooLarge]: 431,
  [FailureCause.UriTooLong]: 414,
  [FailureCause.BodyTooLarge]: 413,
  [FailureCause.Unsupported]: 501,
  [FailureCause.Expectation]: 417,
  [FailureCause.Version]: 505,
};

function decide(side: Side, phase: Phase, cause: FailureCause, reused: boolean): FailureRule {
  if (side === Side.Client) return { status: clientStatus[cause] ?? 0, blamesEndpoint: false, retry: "never" };
  if (side === Side.Proxy) {
    if (cause === FailureCause.Denied) return { status: 403, blamesEndpoint: false, retry: "never" };
    if (cause === FailureCause.Limited) return { status: 429, blamesEndpoint: false, retry: "never" };
    if (cause === FailureCause.Hook) return { status: 500, blamesEndpoint: false, retry: "never" };
    const status =
      cause === FailureCause.Internal ? 500 : cause === FailureCause.Timeout && phase !== Phase.Queue ? 504 : 503;
    return { status, blamesEndpoint: false, retry: "never" };
  }
  if (side === Side.Endpoint) {
    if (phase === Phase.Connect) {
      // Out of our own descriptors is not the endpoint's fault, and another endpoint would fare no better.
      if (cause === FailureCause.Resources) return { status: 503, blamesEndpoint: false, retry: "never" };
      return { status: cause === FailureCause.Timeout ? 504 : 502, blamesEndpoint: true, retry: "always" };
    }
    const early = phase === Phase.ResponseHead || phase === Phase.RequestBody;
    if (cause === FailureCause.Timeout)
      return { status: 504, blamesEndpoint: true, retry: early ? "idempotent" : "never" };
    // A reused connection that was closed before any byte of an answer: the endpoint's idle timer won a race (RFC 9112
    // 9.3.1).
    if (cause === FailureCause.Reset && early) {
      return { status: 502, blamesEndpoint: !reused, retry: reused ? "reused" : "idempotent" };
    }
    return { status: 502, blamesEndpoint: true, retry: "never" };
  }
  return { status: 0, blamesEndpoint: false, retry: "never" };
}

const rules = new Map<Failure, FailureRule>();

/** Status, blame and retry rule of a failure: total over every packed number. */
export function ruleOf(f: Failure): FailureRule {
  let rule = rules.get(f);
  if (rule === undefined) {
    rule = decide(sideOf(f), phaseOf(f), causeOf(f), wasReused(f));
    rules.set(f, rule); // bounded: at most 2^17 packings exist, a few dozen occur
  }
  return rule;
}

const phaseLetters = "-RDQCHLT";

/**
 * The termination code of the access log, after HAProxy's custom: who ended it and why, then in which phase.
 * First letter: C client, P proxy, S endpoint (server), lower case when by timeout; "--" is a whole exchange.
 * Second letter: R request head, D request data, Q queue, C connect, H response head, L response data (last), T tunnel.
 */
export function formatTermination(f: Failure): string {
  if (f === 0) return "--";
  const side = "-CPS"[sideOf(f)] ?? "-";
  const letter = causeOf(f) === FailureCause.Timeout ? side.toLowerCase() : side;
  return letter + (phaseLetters[phaseOf(f)] ?? "-");
}

const causeWords: readonly string[] = [
  "none",
  "refused",
  "reset",
  "timeout",
  "protocol",
  "too-large",
  "body-too-large",
  "unsupported",
  "full",
  "no-endpoint",
  "resources",
  "drain",
  "internal",
  "uri-too-long",
  "expectation",
  "version",
  "circuit",
  "denied",
  "limited",
  "hook",
];

/** The cause as a word for logs and metrics. */
export function causeWord(f: Failure): string {
  return causeWords[causeOf(f)] ?? "unknown";
}
