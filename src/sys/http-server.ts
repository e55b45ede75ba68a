// A small HTTP server for the admin plane, on Bun.serve: convenience matters here, not cost. It knows nothing of what
// is served. Traffic never comes this way.

import { explainBind, formatBind, ListenError, removeStaleSocket } from "./listen-socket.ts";
import type { ListenAddress } from "./listen-socket.ts";

export interface HttpServerOptions {
  readonly bind: ListenAddress;
  /** The client's address is an IP literal, or "unix:". Exceptions become a 500 with a JSON body. */
  readonly handler: (request: Request, clientAddress: string) => Response | Promise<Response>;
  /** Longer request bodies are answered 413. */
  readonly maxBodyBytes: number;
  /** Hears the exceptions of the handler. */
  readonly onError: (error: unknown) => void;
}

export interface HttpServer {
  /** The bound port; 0 for unix sockets. */
  readonly port: number;
  /** Stops accepting; closes open connections too if told so. */
  stop(closeActive: boolean): void;
}

/** Silence of a client or of the handler after which its connection is closed; event streams may be silent. */
const idleSeconds = 120;

/** Starts serving. Throws ListenError. */
export function serveHttp(options: HttpServerOptions): HttpServer {
  const { bind, handler, onError } = options;
  const place = bind.unixPath === null ? { hostname: bind.ip, port: bind.port } : { unix: bind.unixPath };
  if (bind.unixPath !== null) removeStaleSocket(bind.unixPath);
  try {
    const server = Bun.serve({
      ...place,
      development: false,
      reusePort: false, // left out, Bun lets a second server of this process take the same port
      idleTimeout: idleSeconds,
      maxRequestBodySize: options.maxBodyBytes,
      async fetch(request, self) {
        const client = bind.unixPath === null ? (self.requestIP(request)?.address ?? "") : "unix:";
        try {
          const response = await handler(request, client);
          const isStream = response.headers.get("content-type")?.startsWith("text/event-stream") === true;
          if (isStream) self.timeout(request, 0);
          return response;
        } catch (error) {
          onError(error);
          return internalError();
        }
      },
      error(error) {
        onError(error);
        return internalError();
      },
    } as Bun.Serve.Options<undefined>);
    return { port: server.port ?? 0, stop: (closeActive) => void server.stop(closeActive) };
  } catch (error) {
    const code = (error as { code?: string }).code ?? "unknown";
    const [reason, hint] = explainBind(bind, code);
    throw new ListenError(`cannot serve the admin interface on ${formatBind(bind)}: ${reason}`, code, hint);
  }
}

function internalError(): Response {
  return Response.json({ error: "internal error" }, { status: 500 });
}
