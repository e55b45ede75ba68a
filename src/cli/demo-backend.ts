// A back end of the demonstration, in a process of its own so that it can be killed. It says who it is.

import { serveHttp, type HttpServer } from "../sys/http-server.ts";
import { env, exit, onParentGone, onSignal, pid, sendToParent } from "../sys/process.ts";
import { sleep } from "../sys/timers.ts";

/** The environment variable that makes a process a back end: a DemoBackendBoot as JSON. */
export const DEMO_VARIABLE = "SLUICE_DEMO_BACKEND";

export interface DemoBackendBoot {
  readonly name: string;
  /** The port to take if it is free. */
  readonly port: number;
}

/** What a back end tells its parent once it listens. */
export interface DemoBackendReady {
  readonly port: number;
}

const delayMsMax = 60_000;

/** Serves until the parent is gone. */
export function runDemoBackend(): void {
  const { name, port } = JSON.parse(env(DEMO_VARIABLE)!) as DemoBackendBoot;
  let requests = 0;
  const handler = async (request: Request): Promise<Response> => {
    const url = new URL(request.url);
    if (url.pathname === "/health") return new Response("ok\n");
    requests++;
    const delayMs = Math.min(delayMsMax, Number(url.searchParams.get("ms") ?? 0));
    if (url.pathname === "/slow" && delayMs > 0) await sleep(delayMs);
    if (url.pathname === "/headers")
      return Response.json({ backend: name, headers: Object.fromEntries(request.headers) });
    return new Response(`back end ${name} (pid ${pid()}), its request ${requests}\n`, {
      headers: { "content-type": "text/plain; charset=utf-8", "x-backend": name },
    });
  };
  const listen = (wanted: number): HttpServer =>
    serveHttp({
      bind: { ip: "127.0.0.1", port: wanted, unixPath: null },
      handler,
      maxBodyBytes: 1024 * 1024,
      onError: () => {},
    });
  let server: HttpServer;
  try {
    server = listen(port);
  } catch {
    server = listen(0); // somebody else has the port
  }
  // Ctrl-C reaches every process of the terminal; the parent ends this one when it is done with it.
  onSignal("SIGINT", () => {});
  onParentGone(() => exit(0));
  sendToParent({ port: server.port } satisfies DemoBackendReady);
}
