// What hooks of a TypeScript configuration are given, and what they may give back. Users import these types from
// "sluice"; http/hook-request.ts and http/hook-response.ts are what stands behind them.

/** An answer of a request hook's own: the request goes to no endpoint. */
export interface HookResponse {
  /** 200 to 599. */
  readonly status: number;
  /** Fields; a list of values makes several lines. Content-Length and Date are added. */
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  /** Text is sent in UTF-8, as text/plain unless the headers say otherwise. */
  readonly body?: string | Uint8Array;
}

/** Fields of a message, with the changes that the hook has made so far. Names in any case. */
export interface HookFields {
  /** The value; of several fields all values, joined by a comma (of Cookie by a semicolon). null = no such field. */
  header(name: string): string | null;
  /** Every field as it came, one entry a line. Names are in lower case. */
  headers(): readonly (readonly [name: string, value: string])[];
  /**
   * Puts a field in place of all of this name; a list of values makes several lines. Throws for what is no field:
   * values have no line ends and no characters above U+00FF. Fields that frame the message or belong to the connection
   * (Host, Content-Length, Connection …) cannot be changed.
   */
  setHeader(name: string, value: string | readonly string[]): void;
  /** Adds a line, whatever there is. */
  appendHeader(name: string, value: string): void;
  removeHeader(name: string): void;
}

/**
 * A request, as hooks see it. What it tells is what the client sent, with fields that basicAuth and forwardAuth have
 * set; what is changed is what the endpoint gets. Changes are possible until the request hook is done; after the end of
 * the request everything throws.
 */
export interface HookRequest<P extends string = string> extends HookFields {
  /** GET, POST … */
  readonly method: string;
  /** Path and query: path + search. */
  readonly url: string;
  /** The path in the form that routes are matched with; not decoded. */
  readonly path: string;
  /** The query with its question mark, or "". */
  readonly search: string;
  /** Host in lower case, with its port if it has one. */
  readonly host: string;
  readonly hostname: string;
  readonly scheme: "http" | "https";
  /** The client's address, seen through trusted proxies; "unix:" for a unix socket. */
  readonly source: string;
  readonly listener: string;
  readonly route: string;
  /** As in X-Request-Id and the access log. */
  readonly requestId: string;
  /** The first cookie of this name, as it came; null = there is none. */
  cookie(name: string): string | null;
  /** The first query argument of this name, decoded; null = there is none. */
  query(name: string): string | null;
  /** The path that the endpoint gets. With a "?" in it also the query, which otherwise stays. */
  setPath(path: string): void;
  /** The Host that the endpoint gets. */
  setHost(host: string): void;
  /** Sends the request to this pool, whatever the route does otherwise. */
  forwardTo(pool: P): void;
  /** Adds a field to the request's line in the access log. */
  log(name: string, value: string | number | boolean): void;
  /** Remembers something until the request is over, for the response hook. */
  set(key: string, value: unknown): void;
  get(key: string): unknown;
}

/**
 * The head of a response on its way to the client, as hooks see it: what the endpoint sent. The route's own edits come
 * before those of the hook. Its status and body cannot be changed.
 */
export interface HookResponseView extends HookFields {
  readonly status: number;
  /** Who answered; "" for a redirect, a fixed answer or one of the request hook. */
  readonly pool: string;
  readonly endpoint: string;
  /** Milliseconds since the request head was received. */
  readonly elapsedMs: number;
}

/** What a request hook says: nothing = the request goes on. */
export type HookVerdict = HookResponse | undefined | void;

/** Called with each request of the route, after all its other checks and before anything is sent. */
export type RequestHook<P extends string = string> = (request: HookRequest<P>) => HookVerdict | Promise<HookVerdict>;

/** Called with the head of each response that the route gives, before it goes to the client. */
export type ResponseHook<P extends string = string> = (
  response: HookResponseView,
  request: HookRequest<P>,
) => void | Promise<void>;
