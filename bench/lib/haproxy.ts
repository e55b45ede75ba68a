// HAProxy as a contender, tuned; docs/benchmarks.md says why each setting is there. Twice: with splice(2), which moves
// large bodies without copying them, and without it, as most installations run.

import { join } from "node:path";
import { type Contender, firstLine, type ProxySetup } from "./contender.ts";

function config(setup: ProxySetup, splice: boolean): string {
  return `global
  nbthread ${setup.workers}
  maxconn 16384
  no strict-limits
  tune.bufsize ${splice ? "16384\n  tune.pipesize 1048576" : "65536"}
  tune.pool-high-fd-ratio 90
  tune.pool-low-fd-ratio 80

defaults
  mode http
  timeout connect 5s
  timeout client 600s
  timeout server 600s
  timeout http-keep-alive 600s
  timeout http-request 60s
  http-reuse always
  no log${splice ? "\n  option splice-request\n  option splice-response" : ""}

frontend web
  bind 127.0.0.1:${setup.port} backlog 4096
  default_backend app

backend app
  balance roundrobin
  option forwardfor
  http-request set-header X-Forwarded-Proto http
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  http-request set-header X-Forwarded-Port %[dst_port]
  http-request set-header X-Real-IP %[src]
  http-request set-header X-Request-Id %[uuid()] unless { req.hdr(x-request-id) -m found }
  default-server pool-max-conn -1 pool-purge-delay 600s
${setup.endpoints.map((endpoint, i) => `  server s${i} ${endpoint}`).join("\n")}
`;
}

function contender(name: string, splice: boolean): Contender {
  return {
    name,
    version: () =>
      firstLine(["haproxy", "-v"])
        .replace(/ - .*$/, "")
        .replace(/^HAProxy version (\S+).*$/, "haproxy/$1"),
    plan: (setup) => ({
      files: { "haproxy.cfg": config(setup, splice) },
      command: ["haproxy", "-db", "-f", join(setup.dir, "haproxy.cfg")],
    }),
  };
}

export const haproxy = contender("haproxy", true);
export const haproxyCopy = contender("haproxy-copy", false);
