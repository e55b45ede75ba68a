// Puts the admin API on a socket.

import { adminBodyBytesMax } from "../base/limits.ts";
import type { Env } from "../base/ports.ts";
import type { AdminConfig } from "../model/config.ts";
import type { AdminServer, Supervisor } from "../runtime/supervisor.ts";
import { serveHttp } from "../sys/http-server.ts";
import { formatBind, ListenError } from "../sys/listen-socket.ts";
import { pid } from "../sys/process.ts";
import { after } from "../sys/timers.ts";
import { answer } from "./api.ts";

/** How long answers under way may take after stop(); event streams would never end by themselves. */
const stopMs = 1000;

/** Starts the admin API. Throws an Error for the operator when the address cannot be had. */
export function startAdminServer(
  config: AdminConfig,
  supervisor: Supervisor,
  env: Pick<Env, "clock" | "timers">,
  onError: (error: unknown) => void,
): AdminServer {
  const { bind } = config;
  let { token } = config;
  const options = { supervisor, env, pid: pid(), token: () => token, overUnixSocket: bind.unixPath !== null };
  try {
    const server = serveHttp({
      bind,
      handler: (request, client) => answer(options, request, client),
      maxBodyBytes: 2 * adminBodyBytesMax, // bodies just too long get an answer in JSON
      onError,
    });
    return {
      address: formatBind({ ...bind, port: server.port }),
      setToken(next) {
        token = next;
      },
      stop() {
        server.stop(false);
        after(stopMs, () => server.stop(true));
      },
    };
  } catch (error) {
    if (error instanceof ListenError) throw new Error(`${error.message}. ${error.hint}`, { cause: error });
    throw error;
  }
}
