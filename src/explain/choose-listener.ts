// Which listener a described request would come to: the one that is named, or the one whose address fits the URL.

import { parseIp } from "../base/ip.ts";
import { formatBind } from "../config/address.ts";
import { didYouMean, listWords } from "../config/suggest.ts";
import type { BindAddress, ListenerConfig } from "../model/config.ts";
import type { RequestUrl } from "./described-request.ts";

export interface ChosenListener {
  readonly listener: ListenerConfig;
  /** The port the client connected to; 0 = a unix socket, or not known. */
  readonly port: number;
  /** True if every address is a unix socket: clients have no address there. */
  readonly isUnix: boolean;
  /** What was assumed, as a sentence; "" = nothing. */
  readonly note: string;
}

/** No listener, or several: a sentence, and who would be possible. */
export interface NoListener {
  readonly problem: string;
  readonly candidates: readonly string[];
}

/** Where a listener listens, with real ports if they are known. */
export type BoundTo = (listener: ListenerConfig) => readonly BindAddress[];

/** name = null: by the URL. */
export function chooseListener(
  listeners: readonly ListenerConfig[],
  name: string | null,
  url: RequestUrl,
  boundTo: BoundTo,
): ChosenListener | NoListener {
  const candidates = listeners.map((listener) => listener.name);
  if (listeners.length === 0) return { problem: "the configuration has no listeners", candidates };
  if (name !== null) {
    const named = listeners.find((listener) => listener.name === name);
    if (named !== undefined) return chosen(named, url, boundTo, "");
    const near = didYouMean(name, candidates);
    const hint = near === "" ? `there are ${listWords(candidates)}` : `${near}?`;
    return { problem: `there is no listener called ${JSON.stringify(name)}; ${hint}`, candidates };
  }
  const fitting = listeners.filter((listener) => boundTo(listener).some((bind) => fits(bind, url)));
  const [only] = fitting;
  if (fitting.length === 1) return chosen(only!, url, boundTo, "");
  const [single] = listeners;
  if (listeners.length === 1) return chosen(single!, url, boundTo, portNote(single!, url));
  const possible = fitting.length === 0 ? listeners : fitting;
  const names = possible.map((listener) => `${listener.name} (${boundTo(listener).map(formatBind).join(", ")})`);
  const problem = `several listeners could get this: ${names.join(", ")}`;
  return { problem, candidates: possible.map((listener) => listener.name) };
}

function portNote(listener: ListenerConfig, url: RequestUrl): string {
  return url.port === 0 ? "" : `no listener is bound to port ${url.port}; ${listener.name} is the only one there is`;
}

function chosen(listener: ListenerConfig, url: RequestUrl, boundTo: BoundTo, note: string): ChosenListener {
  const binds = boundTo(listener);
  const bind = binds.find((one) => fits(one, url)) ?? binds.find((one) => one.unixPath === null);
  return { listener, port: bind?.port ?? 0, isUnix: bind === undefined, note };
}

/** Might a client with this URL have connected there? Names may lead anywhere, addresses only where they say. */
function fits(bind: BindAddress, url: RequestUrl): boolean {
  if (bind.unixPath !== null || url.port === 0 || bind.port !== url.port) return false;
  const host = url.authority.replace(/:\d*$/, "").replace(/^\[(.*)\]$/, "$1");
  const wanted = parseIp(host);
  const bound = parseIp(bind.ip);
  if (wanted === null || bound === null || bound.every((byte) => byte === 0)) return true;
  return wanted.length === bound.length && wanted.every((byte, i) => byte === bound[i]);
}
