// The origin behind the proxies: one nginx that serves from memory, so that it is far cheaper than any proxy, with
// pages that tell what arrived, for the checks before each measurement.

import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Child, Children } from "./children.ts";
import { freePort } from "./cpus.ts";

/** A body as the origin holds it. */
export interface KnownBody {
  readonly path: string;
  readonly length: number;
  readonly sha256: string;
}

/** The running origin. */
export interface Origin {
  /** host:port of each endpoint; several, so that the proxies have something to balance. */
  readonly endpoints: readonly string[];
  readonly bodies: readonly KnownBody[];
  /** Connections accepted so far from the proxies. */
  accepted(): Promise<number>;
  stop(): Promise<void>;
}

const ENDPOINTS = 3;
const SMALL_BYTES = 128;
const FILES: readonly (readonly [string, number])[] = [
  ["64k", 64 * 1024],
  ["1m", 1024 * 1024],
];

/** nginx's `user` line: a master started by root would otherwise give its worker to one that cannot read our files. */
export function userLine(): string {
  return process.getuid?.() === 0 ? "user root;" : "";
}

/** What every nginx started here needs first: stay in front, keep everything inside one directory. */
export function nginxPreamble(dir: string, workers: number): string {
  return `${userLine()}
daemon off;
worker_processes ${workers};
pid ${dir}/nginx.pid;
error_log ${dir}/error.log warn;
`;
}

/** Directories that nginx would otherwise look for below /var/lib. */
export function nginxTempPaths(dir: string): string {
  return ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((kind) => `  ${kind}_temp_path ${dir}/${kind};`)
    .join("\n");
}

// /upload must answer only after the whole body was read, so it is "proxied" without its body to a unix socket that
// answers at once. /upload-keep also leaves the body in a file, for comparing hashes; it is not used under load.
function originConfig(dir: string, ports: readonly number[], statusPort: number): string {
  const reflect = [
    ["connection", "$connection"],
    ["host", "$http_host"],
    ["for", "$http_x_forwarded_for"],
    ["proto", "$http_x_forwarded_proto"],
    ["forwardedHost", "$http_x_forwarded_host"],
    ["port", "$http_x_forwarded_port"],
    ["realIp", "$http_x_real_ip"],
    ["requestId", "$http_x_request_id"],
    ["connectionHeader", "$http_connection"],
  ];
  const json = `{${reflect.map(([name, variable]) => `"${name}":"${variable}"`).join(",")}}`;
  const sink = `client_max_body_size 4m; client_body_buffer_size 2m;
      proxy_pass http://sink; proxy_pass_request_body off; proxy_http_version 1.1;
      proxy_set_header Connection ""; proxy_set_header Content-Length "";`;
  return `${nginxPreamble(dir, 1)}
events { worker_connections 8192; }
http {
${nginxTempPaths(dir)}
  access_log off;
  default_type application/octet-stream;
  sendfile on;
  tcp_nodelay on;
  open_file_cache max=100 inactive=1h;
  open_file_cache_valid 1h;
  keepalive_timeout 600s;
  keepalive_requests 2000000000;
  upstream sink { server unix:${dir}/sink.sock; keepalive 256; keepalive_requests 2000000000; }
  server {
${ports.map((port) => `    listen 127.0.0.1:${port} backlog=4096;`).join("\n")}
    root ${dir}/www;
    location = /small { return 200 "${"s".repeat(SMALL_BYTES)}"; }
    location = /headers { default_type application/json; return 200 '${json}'; }
    location = /upload { ${sink} }
    location = /upload-keep { ${sink}
      client_body_in_file_only on; proxy_set_header X-Body-File $request_body_file; }
  }
  server {
    listen unix:${dir}/sink.sock;
    location / { return 200 "$http_x_body_file"; }
  }
  server {
    listen 127.0.0.1:${statusPort};
    location / { stub_status; }
  }
}
`;
}

function knownBody(path: string, bytes: Uint8Array): KnownBody {
  return { path, length: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") };
}

/** Bytes that differ everywhere, so that a lost, doubled or swapped piece changes the hash. */
export function patternBytes(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let x = 0x9e3779b9;
  for (let i = 0; i < length; i++) {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    bytes[i] = x >>> 24;
  }
  return bytes;
}

/** Waits until the URL answers 200, for at most ten seconds. The child's output is shown when it does not. */
export async function waitForHttp(url: string, child: Child): Promise<void> {
  const deadline = performance.now() + 10_000;
  let ended = false;
  void child.exited.then(() => (ended = true));
  for (;;) {
    try {
      const response = await fetch(url, { keepalive: false, signal: AbortSignal.timeout(2000) });
      await response.arrayBuffer();
      if (response.status === 200) return;
    } catch {
      // not listening yet
    }
    if (ended || performance.now() > deadline) {
      throw new Error(`nothing answers at ${url}${ended ? " (the process ended)" : ""}:\n${child.output()}`);
    }
    await Bun.sleep(20);
  }
}

/** Starts the origin on the given CPUs. */
export async function startOrigin(children: Children, cpus: string): Promise<Origin> {
  const dir = join(children.dir, "origin");
  mkdirSync(join(dir, "www"), { recursive: true });
  const bodies = [knownBody("/small", Buffer.from("s".repeat(SMALL_BYTES)))];
  for (const [name, length] of FILES) {
    const bytes = patternBytes(length);
    writeFileSync(join(dir, "www", name), bytes);
    bodies.push(knownBody(`/${name}`, bytes));
  }
  const ports = Array.from({ length: ENDPOINTS }, freePort);
  const statusPort = freePort();
  const config = join(dir, "nginx.conf");
  writeFileSync(config, originConfig(dir, ports, statusPort));
  const command = ["nginx", "-e", join(dir, "error.log"), "-p", dir, "-c", config];
  const child = children.start({ name: "origin", command, cpus, logFile: join(dir, "output.log") });
  const status = `http://127.0.0.1:${statusPort}/`;
  await waitForHttp(status, child);
  let own = 0; // connections made by accepted() itself; each call makes one
  const accepted = async (): Promise<number> => {
    own++;
    const text = await (await fetch(status, { headers: { connection: "close" } })).text();
    const match = /^\s*(\d+) \d+ \d+\s*$/m.exec(text);
    if (match === null) throw new Error(`origin status is unreadable: ${text}`);
    return Number(match[1]) - own;
  };
  return { endpoints: ports.map((port) => `127.0.0.1:${port}`), bodies, accepted, stop: child.stop };
}
