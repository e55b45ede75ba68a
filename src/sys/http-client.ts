// The HTTP client of the commands: one request to a running instance's admin interface, over TCP or a unix socket.
// Not for traffic, and not for health checks.

export interface ClientRequest {
  readonly method: string;
  /** Path and query, from "/". */
  readonly path: string;
  /** Where: "http://127.0.0.1:9900" without a path, or the path of a unix socket. */
  readonly to: { readonly origin: string } | { readonly unixPath: string };
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** The whole exchange, in ms. */
  readonly timeoutMs: number;
}

export interface ClientResponse {
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
}

/** Why no answer came. */
export class ClientError extends Error {
  /** "ECONNREFUSED", "ENOENT", "ETIMEDOUT" and so on. */
  readonly code: string;

  constructor(message: string, code: string) {
    super(message);
    this.name = "ClientError";
    this.code = code;
  }
}

/** Sends a request and reads the whole answer. Any status is an answer. Rejects with ClientError. */
export async function requestHttp(request: ClientRequest): Promise<ClientResponse> {
  const { to } = request;
  const unix = "unixPath" in to ? { unix: to.unixPath } : {};
  const origin = "origin" in to ? to.origin : "http://localhost";
  try {
    const response = await fetch(`${origin}${request.path}`, {
      method: request.method,
      headers: { ...request.headers },
      redirect: "manual",
      signal: AbortSignal.timeout(request.timeoutMs),
      ...(request.body === undefined ? {} : { body: request.body }),
      ...unix,
    });
    return { status: response.status, headers: response.headers, body: await response.text() };
  } catch (error) {
    throw clientError("unixPath" in to ? to.unixPath : to.origin, request.timeoutMs, error);
  }
}

function clientError(place: string, timeoutMs: number, error: unknown): ClientError {
  const { name, code = "unknown" } = error as { name?: string; code?: string };
  if (name === "TimeoutError") return new ClientError(`no answer from ${place} within ${timeoutMs} ms`, "ETIMEDOUT");
  if (code === "ConnectionRefused" || code === "ECONNREFUSED") {
    return new ClientError(`nothing listens on ${place}`, "ECONNREFUSED");
  }
  if (code === "FailedToOpenSocket" || code === "ENOENT") return new ClientError(`cannot reach ${place}`, "ENOENT");
  return new ClientError(`no answer from ${place}: ${error instanceof Error ? error.message : String(error)}`, code);
}
