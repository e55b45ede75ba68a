// The truth about every request of a run: what was sent, who got it, what was answered, and what may excuse an ending
// that is not a whole answer. The scripted peers report here; whatever has no excuse is a violation.

import { defaultRetry } from "../../src/model/defaults.ts";
import type { RetryConfig } from "../../src/model/route-config.ts";
import type { Trace } from "./trace.ts";

/** Why a request may end otherwise than with the endpoint's whole answer. */
export const Excuse = {
  /** An endpoint broke the exchange, or nobody could be connected to. */
  Endpoint: 1,
  /** An endpoint was silent for longer than its deadline. */
  Stall: 2,
  /** The client broke or stalled it. */
  Client: 4,
  /** There may have been no endpoint, or no room at one. */
  Scarce: 8,
  /** Its listener was closing. */
  Drain: 16,
  /** Its connection was cut at the end of a drain. */
  Cut: 32,
  /** The whole exchange has a deadline, and took longer. */
  Total: 64,
  /** Its body is over the limit. */
  TooBig: 128,
  /** The client's connection had been silent about as long as the proxy allows. */
  Idle: 256,
  /** An answer before it on the same connection was the last one. */
  Announced: 512,
  /** A limit, a hook or an authentication service may refuse it. */
  Refused: 1024,
} as const;

export interface RequestSpec {
  readonly id: number;
  readonly method: string;
  readonly http10: boolean;
  /** Request line, fields and empty line. */
  readonly head: Uint8Array;
  readonly body: "none" | "length" | "chunked";
  readonly bodyLength: number;
  readonly trailers: readonly string[];
  readonly expects: boolean;
  readonly upgrades: boolean;
  /** Says that the connection ends with it. */
  readonly closes: boolean;
  /** What an endpoint must get. */
  readonly wantedStart: string;
  /** "" = the client named none: the endpoint's own address. */
  readonly wantedHost: string;
  /** The lines that must arrive as they are, in order. */
  readonly wantedLines: readonly string[];
  /** The client's own request id, if it is to be kept. */
  readonly wantedId: string | null;
  /** X-Forwarded-For as it must arrive. */
  readonly wantedFor: string;
  /** What the client sends through a tunnel. */
  readonly tunnelLength: number;
}

export interface Attempt {
  readonly serial: number;
  readonly request: SimRequest;
  /** Its connection had carried another request before. */
  readonly reused: boolean;
  /** The endpoint has read its head. */
  seen: boolean;
  /** The response began before the request was whole. */
  early: boolean;
  /** Status and lines the client must see, once chosen. */
  status: number;
  lines: readonly string[];
  trailers: readonly string[];
  bodyLength: number;
  tunnelLength: number;
  requestWhole: boolean;
  /** Every byte of the response has been sent. */
  responseWhole: boolean;
  responseBegun: boolean;
  lost: boolean;
}

/** Statuses of our own for well-formed requests, and what excuses them. */
const ownStatuses: Readonly<Record<number, number>> = {
  401: Excuse.Refused,
  403: Excuse.Refused,
  408: Excuse.Client,
  418: Excuse.Refused,
  429: Excuse.Refused,
  500: Excuse.Refused,
  413: Excuse.TooBig,
  502: Excuse.Endpoint,
  503: Excuse.Scarce,
  504: Excuse.Stall | Excuse.Total,
};
const breakMidResponse = Excuse.Endpoint | Excuse.Stall | Excuse.Client | Excuse.Cut | Excuse.Total | Excuse.TooBig;
const breakBeforeResponse = Excuse.Client | Excuse.Drain | Excuse.Cut | Excuse.TooBig | Excuse.Idle | Excuse.Announced;
const onlyBreaks = Excuse.Client | Excuse.Cut | Excuse.TooBig;

export class SimRequest {
  readonly spec: RequestSpec;
  excuse = 0;
  readonly attempts: Attempt[] = [];
  /** Resets of kept connections before an answer, and other failures of attempts before one. */
  races = 0;
  failures = 0;
  sentAtMs = 0;
  requestId: string | null = null;
  /** The attempt whose final answer the client has begun to receive. */
  answeredBy: Attempt | null = null;
  outcome: "open" | "answered" | "own" | "broken" | "unanswered" = "open";

  constructor(spec: RequestSpec) {
    this.spec = spec;
  }

  has(excuse: number): boolean {
    return (this.excuse & excuse) !== 0;
  }

  /** May be sent again after it was perhaps received (RFC 9110 9.2.2). */
  get isIdempotent(): boolean {
    return ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"].includes(this.spec.method);
  }

  /** What failed may be repeated: once on a fresh connection in place of a kept one, and once at another endpoint. */
  get isUsedUp(): boolean {
    return Math.max(0, this.races - 1) + this.failures > 1;
  }

  /** A response to it has begun, and may be cut off. */
  get mayBreak(): boolean {
    return this.has(breakMidResponse) && this.attempts.some((attempt) => attempt.responseBegun);
  }

  get name(): string {
    return `request ${this.spec.id} (${this.spec.method})`;
  }
}

export class Ledger {
  /**
   * Every pool always keeps two endpoints that take everything: then failures of others excuse nothing that can be
   * retried.
   */
  readonly solid: boolean;
  readonly tally = { requests: 0, answered: 0, own: 0, broken: 0, unanswered: 0, tunnels: 0, attempts: 0, retried: 0 };
  readonly statuses = new Map<number, number>();
  private readonly trace: Trace;
  private readonly requests = new Map<number, SimRequest>();
  /** Ids that no endpoint may ever see. */
  private readonly forbidden = new Set<number>();
  private readonly attempts = new Map<number, Attempt>();
  private readonly shaky: number;
  private readonly retry: RetryConfig;

  /** retry: of all routes. */
  constructor(trace: Trace, solid: boolean, retry: RetryConfig = defaultRetry, refuses = false) {
    this.trace = trace;
    this.solid = solid;
    this.retry = retry;
    this.shaky = (solid ? 0 : Excuse.Endpoint | Excuse.Stall | Excuse.Scarce) | (refuses ? Excuse.Refused : 0);
  }

  open(spec: RequestSpec): SimRequest {
    const request = new SimRequest(spec);
    request.excuse = this.shaky;
    this.requests.set(spec.id, request);
    this.tally.requests++;
    return request;
  }

  forbid(id: number): void {
    this.forbidden.add(id);
  }

  all(): Iterable<SimRequest> {
    return this.requests.values();
  }

  /** The proxy has sent the head of a request with this id to an endpoint. */
  sent(id: number, reused: boolean): Attempt | null {
    if (this.forbidden.has(id)) return this.complain("smuggled", `an endpoint was sent the malformed request ${id}`);
    const request = this.requests.get(id);
    if (request === undefined) return this.complain("unknown", `an endpoint was sent a request ${id} nobody made`);
    const attempt: Attempt = {
      serial: ++this.tally.attempts,
      request,
      reused,
      seen: false,
      early: false,
      status: 0,
      lines: [],
      trailers: [],
      bodyLength: 0,
      tunnelLength: 0,
      requestWhole: false,
      responseWhole: false,
      responseBegun: false,
      lost: false,
    };
    if (request.attempts.length > 0) this.judgeRetry(request);
    if (request.outcome === "answered" || request.outcome === "own")
      this.trace.fail("late", `${request.name} was sent after it had ended`);
    request.attempts.push(attempt);
    this.attempts.set(attempt.serial, attempt);
    return attempt;
  }

  private judgeRetry(request: SimRequest): void {
    this.tally.retried++;
    const { attempts, spec } = request;
    const { retry } = this;
    if (!request.isIdempotent && !retry.nonIdempotent) this.trace.fail("twice", `${request.name} was sent twice`);
    // One in place of a kept connection besides.
    if (attempts.length > retry.attempts + (retry.attempts > 0 ? 1 : 0)) {
      this.trace.fail("twice", `${request.name} was sent ${attempts.length + 1} times`);
    }
    if (request.answeredBy !== null) this.trace.fail("twice", `${request.name} was sent again after its answer began`);
    const isKept = spec.bodyLength <= retry.bufferBytes && spec.trailers.length === 0;
    if (spec.body !== "none" && !isKept && attempts.some((attempt) => attempt.requestWhole)) {
      this.trace.fail("twice", `${request.name} was sent again with its body gone`);
    }
  }

  attempt(serial: number): Attempt | null {
    return this.attempts.get(serial) ?? null;
  }

  /**
   * The endpoint ends the connection before a byte of an answer. The first time a harmless request is to be sent again.
   */
  lost(attempt: Attempt, excuse: number = Excuse.Endpoint): void {
    this.lose(attempt.request, attempt.reused && excuse === Excuse.Endpoint, excuse, !attempt.lost);
    attempt.lost = true;
  }

  /** The same for a request whose head was on its way, or (first = false) for one that was counted before. */
  lose(request: SimRequest, reused: boolean, excuse: number, first = true): void {
    if (first && reused) request.races++;
    else if (first) request.failures++;
    const again = this.solid && request.isIdempotent && request.spec.body === "none" && !request.isUsedUp;
    if (!again) request.excuse |= excuse;
  }

  request(id: number): SimRequest | undefined {
    return this.requests.get(id);
  }

  /** A reset may have overtaken the answer: it may be lost. */
  endangered(attempt: Attempt): void {
    if (attempt.reused) attempt.request.races++;
    else attempt.request.failures++;
    attempt.request.excuse |= Excuse.Endpoint;
  }

  excuse(request: SimRequest, excuse: number): void {
    request.excuse |= excuse;
  }

  // ---- how requests end, as their clients see it

  answered(request: SimRequest): void {
    request.outcome = "answered";
    this.tally.answered++;
    this.countStatus(request.answeredBy!.status);
    const last = request.attempts[request.attempts.length - 1];
    if (last !== request.answeredBy)
      this.trace.fail("order", `${request.name} was answered by another attempt than its last`);
  }

  /** An answer of the proxy's own; or a stray one of an endpoint, which came when this request was on its way there. */
  refused(request: SimRequest, status: number, stray: boolean): void {
    request.outcome = "own";
    this.tally.own++;
    this.countStatus(status);
    const excuses = ownStatuses[status] ?? 0;
    if (stray) return;
    if (!request.has(excuses)) this.trace.fail("status", `${request.name} got ${status} without a cause`);
  }

  /** The connection ended within the response. */
  broken(request: SimRequest, how: string): void {
    request.outcome = "broken";
    this.tally.broken++;
    if (!request.has(breakMidResponse)) this.trace.fail("broken", `${request.name}: response cut off (${how})`);
  }

  /** The connection ended before a byte of the final response. */
  unanswered(request: SimRequest, how: string): void {
    request.outcome = "unanswered";
    this.tally.unanswered++;
    // One that was passed on to an endpoint has a claim to an answer, whatever else is going on; but the reset that
    // follows a response cut off may overtake what there was of it.
    const { attempts } = request;
    const begun = attempts.some((attempt) => attempt.responseBegun);
    const excuses = begun ? breakMidResponse : attempts.length === 0 ? breakBeforeResponse : onlyBreaks;
    if (!request.has(excuses)) this.trace.fail("unanswered", `${request.name}: no response (${how})`);
  }

  private countStatus(status: number): void {
    this.statuses.set(status, (this.statuses.get(status) ?? 0) + 1);
  }

  private complain(rule: string, detail: string): null {
    this.trace.fail(rule, detail);
    return null;
  }
}
