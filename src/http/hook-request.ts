// A request as hooks see it (HookRequest): one object for each request of a route with hooks. It tells what the hook
// asks for and no more, and notes what the hook wants done; the exchange does it afterwards. The hook may hold on to it
// for as long as it likes, and ask at any time: so it reads the request's head by itself, in memory of its own, and
// says nothing once the request is over and the exchange somebody else's.

import { latin1Text, Scratch } from "../base/bytes.ts";
import { headersMax, hookLogFieldsMax, targetBytesMax } from "../base/limits.ts";
import type { HookRequest } from "../config/ts/hook-types.ts";
import { accessLogFields } from "../model/log-fields.ts";
import { MatchInput } from "../route/match-input.ts";
import { isRefused, preparePath } from "../route/path.ts";
import { Head, HeadFlag } from "../wire/head.ts";
import { validHost } from "../wire/h1/parse.ts";
import { latin1 } from "../wire/h1/tables.ts";
import { findCookie, pathEnd, Span } from "../wire/lookup.ts";
import type { Exchange } from "./exchange.ts";
import { clientAddress, clientScheme } from "./forwarded.ts";
import type { RequestExtra } from "./guard.ts";
import { type FieldPair, HookEdits, readField, readFields, shown } from "./hook-fields.ts";
import type { ResponseView } from "./hook-response.ts";
import type { HookWait } from "./hook-wait.ts";
import type { PoolRuntime } from "./pool-runtime.ts";
import { hasDotSegment } from "./rewrite.ts";
import { questionOf } from "./template.ts";

/** A field that a hook adds to the access log. */
export type LogField = readonly [name: string, value: string | number | boolean];

const none: readonly FieldPair[] = [];
const namesOfLog: ReadonlySet<string> = new Set(accessLogFields);

// The head of the request that was asked about last. Nobody else uses these.
const head = new Head(headersMax);
const input = new MatchInput();
const prepared = new Scratch(1024);
const said = new Scratch(256);
const found = new Span();
let more: readonly FieldPair[] = none;
let parsedFor: HookRun | null = null;

// What the endpoint gets instead.
const newTarget = new Scratch(512);
const newHost = new Scratch(64);

export class HookRun implements HookRequest, RequestExtra {
  /** Where the hook sends the request; null = where the route does. */
  pool: PoolRuntime | null = null;
  /** What hooks have to say in the access log. */
  logFields: LogField[] | null = null;
  /** The response, once there is one to show. */
  view: ResponseView | null = null;
  /** A hook is being waited for. */
  wait: HookWait | null = null;
  private readonly x: Exchange;
  private readonly pools: ReadonlyMap<string, PoolRuntime>;
  /** What other checks have put into the request. */
  private readonly earlier: readonly RequestExtra[] | null;
  private edits: HookEdits | null = null;
  private target = "";
  private toHost = "";
  private memory: Map<string, unknown> | null = null;
  private parameters: URLSearchParams | null = null;
  private isOpen = true;

  /** pools: of the request's generation, by name. */
  constructor(x: Exchange, pools: ReadonlyMap<string, PoolRuntime>) {
    this.x = x;
    this.pools = pools;
    this.earlier = x.extras.length === 0 ? null : [...x.extras];
  }

  // ---- for the exchange

  /** The request hook is done: nothing about the request can be changed any more. */
  close(): void {
    this.isOpen = false;
  }

  /** The request is over. */
  end(): void {
    this.isOpen = false;
    if (this.wait !== null) this.wait.forget();
    if (this.view !== null) this.view.end();
  }

  /** Changes the header fields that the endpoint gets, before any edits of the route. */
  apply(sent: Head, added: Scratch): void {
    if (this.edits !== null) this.edits.apply(sent, added, true);
  }

  /** Changes target and Host, after a rewrite of the route. By flags and shared bytes, as a rewrite does. */
  applyTarget(sent: Head): void {
    if (this.target !== "") {
      newTarget.length = 0;
      newTarget.putText(this.target);
      sent.newTarget = newTarget;
      sent.flags |= HeadFlag.NewTarget;
    }
    if (this.toHost !== "") {
      newHost.length = 0;
      newHost.putText(this.toHost);
      sent.newHost = newHost;
      sent.flags |= HeadFlag.NewHost;
    }
  }

  // ---- what hooks ask

  get method(): string {
    const { bytes, methodStart, methodEnd } = this.read();
    return latin1Text(bytes, methodStart, methodEnd);
  }

  get url(): string {
    return this.path + this.search;
  }

  get path(): string {
    this.read();
    return latin1Text(input.path, input.pathStart, input.pathEnd);
  }

  get search(): string {
    this.read();
    return latin1Text(head.bytes, questionOf(head, input), head.targetEnd);
  }

  get host(): string {
    const { bytes, hostStart, hostEnd } = this.read();
    return latin1Text(bytes, hostStart, hostEnd).toLowerCase();
  }

  get hostname(): string {
    return this.host.replace(/:\d*$/, "");
  }

  get scheme(): "http" | "https" {
    return clientScheme(this.x.client!, this.read(), this.x.listener);
  }

  get source(): string {
    return clientAddress(this.x.client!, this.read(), this.x.listener);
  }

  get listener(): string {
    this.assertLive();
    return this.x.listener.name;
  }

  get route(): string {
    this.assertLive();
    return this.x.route!.name;
  }

  get requestId(): string {
    return this.x.requestIdText(this.read());
  }

  header(name: string): string | null {
    return readField(this.read(), more, this.edits, name);
  }

  headers(): readonly FieldPair[] {
    return readFields(this.read(), more, this.edits);
  }

  cookie(name: string): string | null {
    if (!findCookie(this.read(), name, found)) return null;
    return latin1Text(head.bytes, found.start, found.end);
  }

  query(name: string): string | null {
    this.assertLive();
    this.parameters ??= new URLSearchParams(this.search);
    return this.parameters.get(name);
  }

  get(key: string): unknown {
    this.assertLive();
    return this.memory?.get(key);
  }

  // ---- what hooks want done

  setHeader(name: string, value: string | readonly string[]): void {
    this.change().set(name, value);
  }

  appendHeader(name: string, value: string): void {
    this.change().append(name, value);
  }

  removeHeader(name: string): void {
    this.change().remove(name);
  }

  setPath(path: string): void {
    this.assertOpen();
    if (typeof path !== "string" || !/^\/[\x21\x22\x24-\x7e]*$/.test(path)) {
      const hint = "it begins with a slash and has only visible ASCII characters but #; encodeURI() helps";
      throw new TypeError(`setPath: ${shown(path)} is no path: ${hint}`);
    }
    const own = this.path;
    const bytes = latin1(path);
    const end = pathEnd(bytes, 0, bytes.length);
    if (hasDotSegment(bytes, 0, end) && !hasDotSegment(latin1(own), 0, own.length)) {
      throw new TypeError(`setPath: ${shown(path)} has dot segments, and the client's path has none`);
    }
    if (path.startsWith("//") && !own.startsWith("//")) {
      throw new TypeError(`setPath: ${shown(path)} begins with two slashes, which some take for the name of a host`);
    }
    const target = end < path.length ? path : path + this.search;
    if (target.length > targetBytesMax) throw new RangeError(`setPath: longer than ${targetBytesMax} bytes`);
    this.target = target;
  }

  setHost(host: string): void {
    this.assertOpen();
    const isHost = typeof host === "string" && /^[\x21-\x7e]+$/.test(host);
    if (!isHost || !validHost(latin1(host), 0, host.length)) {
      throw new TypeError(`setHost: ${shown(host)} is no host`);
    }
    this.toHost = host;
  }

  forwardTo(pool: string): void {
    this.assertOpen();
    const runtime = this.pools.get(pool);
    if (runtime === undefined) throw new TypeError(`forwardTo: there is no pool ${shown(pool)}`);
    this.pool = runtime;
  }

  log(name: string, value: string | number | boolean): void {
    this.assertLive();
    if (typeof name !== "string" || !/^[A-Za-z_][A-Za-z0-9_.-]{0,63}$/.test(name)) {
      throw new TypeError(`log: ${shown(name)} is not the name of a field: letters, digits, _ . and -, at most 64`);
    }
    if (namesOfLog.has(name)) throw new TypeError(`log: the access log has a field ${name} of its own`);
    const isFact = typeof value === "string" || typeof value === "boolean" || Number.isFinite(value);
    if (!isFact) throw new TypeError(`log: ${name}: expected a text, a number, true or false, not ${shown(value)}`);
    const fields = (this.logFields ??= []);
    const known = fields.findIndex(([other]) => other === name);
    if (known >= 0) fields[known] = [name, value];
    else if (fields.length < hookLogFieldsMax) fields.push([name, value]);
    else throw new RangeError(`log: more than ${hookLogFieldsMax} fields`);
  }

  set(key: string, value: unknown): void {
    this.assertLive();
    (this.memory ??= new Map<string, unknown>()).set(key, value);
  }

  // ---- behind them

  private assertLive(): void {
    if (this.x.hooked !== this) throw new Error("this request is over: read what is needed later before it is");
  }

  private assertOpen(): void {
    this.assertLive();
    if (!this.isOpen) throw new Error("too late: the request has gone on, and cannot be changed");
  }

  private change(): HookEdits {
    this.assertOpen();
    return (this.edits ??= new HookEdits());
  }

  /** The request's head, parsed once for as long as nobody asks another request. */
  private read(): Head {
    this.assertLive();
    if (parsedFor === this) return head;
    const { x } = this;
    parsedFor = null;
    x.headInto(head);
    if (isRefused(preparePath(head, x.pathRules, prepared, input))) throw new Error("the path of a request is lost");
    more = this.earlier === null ? none : readEarlier(this.earlier);
    remember(this);
    return head;
  }
}

function remember(run: HookRun): void {
  parsedFor = run;
}

/** What other checks want in the request: those fields go from the head that ours take the place of. */
function readEarlier(earlier: readonly RequestExtra[]): readonly FieldPair[] {
  said.length = 0;
  for (const extra of earlier) extra.apply(head, said);
  const lines = latin1Text(said.bytes, 0, said.length).split("\r\n").slice(0, -1);
  return lines.map((line) => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
  });
}
