// Asks another service whether a request may pass (nginx's auth_request, Traefik's ForwardAuth). 2xx lets it, and
// fields of the answer may be put into the request; any other answer below 500 goes to the client; a service that does
// not answer, or with 5xx, has failed, and then onError decides. What is asked: auth-question.ts.
//
// For an exchange: ask() gives the verdict at once, or null, and then onVerdict() is called later, unless forget() is
// called before. After Pass, apply() makes the request what the endpoint is to see; after Answer, answerHead() is what
// the client is sent; Refuse is an error answer of ours.

import { copyOf, latin1Text, Scratch } from "../base/bytes.ts";
import { type Failure, ruleOf, Side, sideOf } from "../base/failure.ts";
import { authBodyBytesMax, authFieldsBytesMax } from "../base/limits.ts";
import { defaultRetry } from "../model/defaults.ts";
import { OFF } from "../model/config.ts";
import type { ForwardAuthConfig } from "../model/route-config.ts";
import {
  FIELD_DROPPED,
  FIELD_HOP,
  FIELD_ID,
  FIELD_LINE_END,
  FIELD_NAME,
  FIELD_NAME_END,
  FIELD_VALUE,
  FIELD_VALUE_END,
  FIELD_WIDTH,
  type Head,
  Method,
} from "../wire/head.ts";
import { findHeader } from "../wire/lookup.ts";
import { AuthCache, type QuestionKey, questionKey, sameKey, type SeedPair } from "./auth-cache.ts";
import { AuthQuestion, bodyFields } from "./auth-question.ts";
import { FieldNames } from "./field-names.ts";
import { beginOwn, endOwn, ownLinesMax } from "./own-answer.ts";
import type { PoolRuntime } from "./pool-runtime.ts";
import { compileRetry } from "./retry.ts";
import {
  hashFor,
  type Holder,
  SubRequest,
  type SubRequestOwner,
  type SubRequestParts,
  type SubRequestTerms,
} from "./sub-request.ts";
import type { TemplateFacts } from "./template.ts";

export const AuthSays = {
  /** The request goes on. */
  Pass: 0,
  /** The client gets the service's answer. */
  Answer: 1,
  /** The client gets an error answer of ours with this status. */
  Refuse: 2,
} as const;
export type AuthSays = (typeof AuthSays)[keyof typeof AuthSays];

export interface AuthVerdict {
  readonly says: AuthSays;
  /** For the client; 0 with Pass. */
  readonly status: number;
  /** Whole field lines: for the request with Pass, for the client with Answer. */
  readonly lines: Uint8Array;
  readonly body: Uint8Array;
}

/** Who waits for a verdict. */
export interface VerdictWaiter {
  /** null, or the question it waits for. Only to be written here. */
  question: Question | null;
  /** Called at most once for each ask() that returned null. */
  onVerdict(verdict: AuthVerdict): void;
}

/** What a worker asks with. */
export interface AuthParts extends SubRequestParts {
  readonly seeds: SeedPair;
}

const none = new Uint8Array(0);
const passAnyway: AuthVerdict = { says: AuthSays.Pass, status: 0, lines: none, body: none };
const standardPolicy = compileRetry(defaultRetry);
/** What an answer of ours brings itself. */
const replaced = new FieldNames(["connection", "content-length", "date", "trailer", "transfer-encoding"], false);
const built = new Scratch(4096);

function refusal(status: number): AuthVerdict {
  return { says: AuthSays.Refuse, status, lines: none, body: none };
}
const refused = refusal(503);

/** The authentication of one route. */
export class ForwardAuth {
  readonly pool: PoolRuntime;
  readonly parts: AuthParts;
  readonly terms: SubRequestTerms;
  /** What becomes of requests when the service fails. */
  readonly failed: AuthVerdict;
  /** Names of fields that a 2xx answer puts into the request. */
  readonly copied: FieldNames;
  private readonly question: AuthQuestion;
  private readonly cacheMs: number;
  /** null = nothing is remembered, and every request asks. */
  private readonly cache: AuthCache<AuthVerdict> | null;
  private readonly pending = new Map<number, Question>();
  readonly replacedNames: FieldNames;

  /** cache: of an earlier one with the same config, if there is one. */
  constructor(
    config: ForwardAuthConfig,
    pool: PoolRuntime,
    parts: AuthParts,
    cache: AuthCache<AuthVerdict> = new AuthCache(),
  ) {
    const { timeoutMs } = config;
    this.pool = pool;
    this.parts = parts;
    // A connect may take half of the time, so that there is some left for another endpoint.
    const timeouts = { connectMs: Math.ceil(timeoutMs / 2), sendMs: timeoutMs, responseMs: timeoutMs };
    this.terms = { timeouts, totalMs: timeoutMs, answerBytesMax: authBodyBytesMax, policy: standardPolicy };
    this.failed = config.onError === "allow" ? passAnyway : refused;
    this.copied = new FieldNames(config.copyHeaders, false);
    this.replacedNames = new FieldNames(config.copyHeaders, true);
    this.question = new AuthQuestion(config, pool.name);
    this.cacheMs = config.cacheMs;
    this.cache = config.cacheMs === OFF ? null : cache;
  }

  /**
   * The verdict, or null: the waiter hears it later. Fields of the head that are dropped by now are not shown to the
   * service. holder = the generation of the waiter.
   */
  ask(waiter: VerdictWaiter, facts: TemplateFacts, holder: Holder): AuthVerdict | null {
    const keyed = this.question.put(built, facts);
    let key: QuestionKey | null = null;
    if (this.cache !== null) {
      key = questionKey(this.parts.seeds, built.bytes, keyed);
      const known = this.cache.find(key, this.parts.clock.cachedMs);
      if (known !== null) return known;
    }
    const text = copyOf(built.bytes, 0, built.length);
    const hash = hashFor(this.pool.pool, facts);
    if (key === null) return new Question(this, null, hash, holder).begin(waiter, text);
    const pending = this.pending.get(key.number);
    if (pending !== undefined && sameKey(pending.key!, key)) {
      pending.join(waiter, text);
      return null;
    }
    const question = new Question(this, key, hash, holder);
    if (pending === undefined) this.pending.set(key.number, question);
    return question.begin(waiter, text);
  }

  /** The waiter does not want to hear the verdict any more. Harmless if it waits for none. */
  forget(waiter: VerdictWaiter): void {
    const { question } = waiter;
    if (question !== null) question.leave(waiter);
  }

  /**
   * After Pass: the client's own fields that the answer may set are dropped, also where it sets none, and those of the
   * answer are appended. Before any other edits.
   */
  apply(verdict: AuthVerdict, head: Head, added: Scratch): void {
    if (this.replacedNames.isEmpty) return;
    this.replacedNames.dropFrom(head);
    this.replacedNames.dropLines(added);
    added.putAll(verdict.lines);
  }

  /** Remembers a verdict if it may be used again, and says whether it may. */
  remember(key: QuestionKey, verdict: AuthVerdict, answer: Head): boolean {
    const freshMs = Math.min(this.cacheMs, freshMsOf(answer));
    if (freshMs <= 0) return false;
    const nowMs = this.parts.clock.cachedMs;
    this.cache!.put(key, verdict, verdict.lines.length, nowMs, nowMs + freshMs);
    return true;
  }

  /** The question is decided: nobody joins it any more. */
  close(question: Question): void {
    const { key } = question;
    if (key !== null && this.pending.get(key.number) === question) this.pending.delete(key.number);
  }
}

/** After Answer: makes the head of the client's answer, to be sent by sendOwn(). */
export function answerHead(verdict: AuthVerdict, method: Method, wallMs: number): Head {
  beginOwn(verdict.status, wallMs).putAll(verdict.lines);
  return endOwn(verdict.status, method, verdict.body, verdict.body.length, true);
}

interface Waiting {
  readonly waiter: VerdictWaiter;
  /** The question in its own words: with its own request id. */
  readonly text: Uint8Array;
}

/** One question under way, and everybody whose question is the same. */
export class Question implements SubRequestOwner {
  /** null = nobody else's is the same. */
  readonly key: QuestionKey | null;
  private readonly auth: ForwardAuth;
  private readonly hash: number;
  private readonly holder: Holder;
  private waiting: Waiting[] = [];
  private request: SubRequest | null = null;
  private starting = false;
  private verdict: AuthVerdict | null = null;
  private isForAll = false;
  // Of an answer that has begun.
  private pass: AuthVerdict | null = null;
  private isShared = false;
  private status = 0;
  private lines: Scratch | null = null;
  private body: Scratch | null = null;

  constructor(auth: ForwardAuth, key: QuestionKey | null, hash: number, holder: Holder) {
    this.auth = auth;
    this.key = key;
    this.hash = hash;
    this.holder = holder;
  }

  /** Asks. The verdict if it is there at once. */
  begin(waiter: VerdictWaiter, text: Uint8Array): AuthVerdict | null {
    const { auth, hash, holder } = this;
    const message = { head: text, body: null, trailers: null, hash };
    this.request = new SubRequest(auth.parts, auth.pool, auth.terms, Method.Get, message, holder, this);
    this.join(waiter, text);
    this.starting = true;
    this.request.start();
    this.starting = false;
    const { verdict, waiting } = this;
    if (verdict === null) return null;
    waiter.question = null;
    // Others may have joined while it was being asked.
    this.waiting = [];
    this.tell(
      verdict,
      waiting.filter((one) => one.waiter !== waiter),
      false,
    );
    return verdict;
  }

  join(waiter: VerdictWaiter, text: Uint8Array): void {
    waiter.question = this;
    this.waiting.push({ waiter, text });
  }

  leave(waiter: VerdictWaiter): void {
    waiter.question = null;
    this.waiting = this.waiting.filter((one) => one.waiter !== waiter);
    if (this.waiting.length > 0 || this.verdict !== null) return;
    this.auth.close(this);
    this.request!.cancel();
  }

  // ---- the answer

  onAnswer(head: Head): void {
    const { status, bodyLength } = head;
    if (status >= 500) this.settle(this.auth.failed, true);
    else if (status < 300) this.onPass(head);
    else {
      this.status = status;
      this.lines = new Scratch(512);
      if (head.fieldCount <= ownLinesMax) putLines(this.lines, head, null, replaced);
      if (bodyLength > authBodyBytesMax) this.answer(false);
      else if (bodyLength !== 0) this.body = new Scratch(Math.max(bodyLength, 1024));
    }
  }

  private onPass(head: Head): void {
    const { auth, key } = this;
    const lines = new Scratch(128);
    if (!auth.copied.isEmpty) putLines(lines, head, auth.copied, null);
    if (lines.length > authFieldsBytesMax) {
      this.settle(auth.failed, true);
      return;
    }
    const isPlain = lines.length === 0;
    const pass = isPlain ? passAnyway : { ...passAnyway, lines: copyOf(lines.bytes, 0, lines.length) };
    this.isShared = key !== null && auth.remember(key, pass, head);
    this.pass = pass;
    if (head.bodyLength !== 0) this.settle(pass, this.isShared); // else it is over anyway
  }

  onBody(bytes: Uint8Array, start: number, end: number): void {
    if (this.verdict === null && this.body !== null) this.body.put(bytes, start, end);
  }

  /** An answer that has begun holds, however it ends: it is not to be mistaken for none. */
  onEnd(f: Failure): void {
    if (this.verdict !== null) return;
    if (this.pass !== null) this.settle(this.pass, this.isShared);
    else if (this.status !== 0) this.answer(f === 0);
    else if (sideOf(f) === Side.Client) this.settle(refusal(ruleOf(f).status || 400), false);
    else this.settle(this.auth.failed, true);
  }

  private answer(isWhole: boolean): void {
    const lines = this.lines!;
    const body = isWhole && this.body !== null ? copyOf(this.body.bytes, 0, this.body.length) : none;
    if (!isWhole) bodyFields.dropLines(lines);
    const { status } = this;
    const answer = { says: AuthSays.Answer, status, lines: copyOf(lines.bytes, 0, lines.length), body };
    // For one client only: it may bring a cookie, or a way back to this very page.
    this.settle(answer, false);
  }

  /** isForAll: everybody who waits may have it; else the first has it, and the others ask for themselves. */
  private settle(verdict: AuthVerdict, isForAll: boolean): void {
    this.verdict = verdict;
    this.isForAll = isForAll;
    this.auth.close(this);
    this.lines = null;
    this.body = null;
    if (this.starting) return;
    const { waiting } = this;
    this.waiting = [];
    this.tell(verdict, waiting, true);
  }

  private tell(verdict: AuthVerdict, waiting: readonly Waiting[], hasFirst: boolean): void {
    let isFirst = hasFirst;
    for (const { waiter, text } of waiting) {
      if (waiter.question !== this) continue; // it has gone because of what another was told
      waiter.question = null;
      if (isFirst || this.isForAll) waiter.onVerdict(verdict);
      else {
        const own = new Question(this.auth, null, this.hash, this.holder).begin(waiter, text);
        if (own !== null) waiter.onVerdict(own);
      }
      isFirst = false;
    }
  }
}

/** Appends the lines of an answer that are named in `of` (null = all) and not in `except`. */
function putLines(out: Scratch, head: Head, of: FieldNames | null, except: FieldNames | null): void {
  const { bytes, fields, fieldCount } = head;
  for (let i = 0, at = 0; i < fieldCount; i++, at += FIELD_WIDTH) {
    if ((fields[at + FIELD_ID]! & (FIELD_HOP | FIELD_DROPPED)) !== 0) continue;
    const start = fields[at + FIELD_NAME]!;
    const end = fields[at + FIELD_NAME_END]!;
    if ((of !== null && !of.has(bytes, start, end)) || except?.has(bytes, start, end) === true) continue;
    out.put(bytes, start, fields[at + FIELD_LINE_END]!);
  }
}

/** How long an answer may be used again by its Cache-Control (RFC 9111 5.2.2): Infinity if it says nothing of that. */
function freshMsOf(answer: Head): number {
  let freshMs = Infinity;
  for (let i = findHeader(answer, "cache-control"); i >= 0; i = findHeader(answer, "cache-control", i + 1)) {
    const at = i * FIELD_WIDTH;
    const value = latin1Text(answer.bytes, answer.fields[at + FIELD_VALUE]!, answer.fields[at + FIELD_VALUE_END]!);
    for (const directive of value.toLowerCase().split(",")) {
      const [name, argument] = directive.trim().split("=");
      if (name === "no-store" || name === "no-cache") return 0;
      if (name !== "max-age" && name !== "s-maxage") continue;
      const seconds = /^"?(\d+)"?$/.exec((argument ?? "").trim());
      freshMs = Math.min(freshMs, seconds === null ? 0 : Number(seconds[1]) * 1000);
    }
  }
  return freshMs;
}
