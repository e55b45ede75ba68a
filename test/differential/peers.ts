// Sluice, nginx and HAProxy in front of a recording origin each, and one byte string sent through one of them. None
// keeps connections to the origin, so that what one connection received is what became of one request.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Outlet } from "../scenario/lib/outlet.ts";
import { startSluice } from "../scenario/lib/sluice.ts";
import { tied } from "../scenario/lib/tied.ts";
import { waitFor } from "../scenario/lib/wait.ts";
import { readStrictly, type StrictReading } from "./strict-parser.ts";
import { type RecordingOrigin, startRecordingOrigin } from "./recording-origin.ts";

type Address = { readonly hostname: string; readonly port: number } | { readonly unix: string };

/** A proxy that is running, and its origin. */
export interface Peer extends AsyncDisposable {
  readonly name: string;
  /** As the program tells it; "" for Sluice. */
  readonly version: string;
  readonly address: Address;
  readonly origin: RecordingOrigin;
}

/** What became of one byte string. */
export interface Played {
  /** What each of the origin's connections received, read strictly. */
  readonly readings: readonly StrictReading[];
  /** Everything the client received. */
  readonly answer: string;
  /** Requests the origin got whole, then a refusal if the client was told one, as text. */
  readonly outcome: string;
}

/** How long a proxy may do nothing before the client sends FIN, to end what waits for more. */
const PATIENCE_MS = 300;
const DEADLINE_MS = 5000;
const end = "GET /end HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

interface ClientState {
  received: string;
  over: boolean;
  outlet: Outlet | null;
}

/** Sends the bytes and returns what came back until the end of the connection. */
async function exchange(address: Address, bytes: string): Promise<string> {
  const state: ClientState = { received: "", over: false, outlet: null };
  const socket = await Bun.connect<ClientState>({
    ...address,
    allowHalfOpen: true,
    data: state,
    socket: {
      data(_socket, piece) {
        state.received += piece.toString("latin1");
      },
      drain: () => state.outlet?.pump(),
      end() {
        state.over = true;
      },
      close() {
        state.over = true;
      },
      error() {},
    },
  } as Parameters<typeof Bun.connect<ClientState>>[0]);
  state.outlet = new Outlet(socket);
  state.outlet.send(bytes);
  try {
    const patient = await waitFor(() => state.over, { what: "an end", timeoutMs: PATIENCE_MS, everyMs: 2 }).catch(
      () => null,
    );
    if (patient === null) {
      socket.shutdown();
      await waitFor(() => state.over, {
        what: `the end of ${JSON.stringify(bytes)}`,
        timeoutMs: DEADLINE_MS,
        everyMs: 2,
      });
    }
  } finally {
    socket.terminate();
  }
  return state.received;
}

/** Sends a byte string and "GET /end" through the proxy. */
export async function play(peer: Peer, bytes: string): Promise<Played> {
  const { origin } = peer;
  origin.clear();
  const answer = await exchange(peer.address, bytes + end);
  const what = `${peer.name} to close its connections to the origin after ${JSON.stringify(bytes)}`;
  await waitFor(() => origin.open() === 0, { what, timeoutMs: DEADLINE_MS, everyMs: 2 });
  const readings = origin.recorded().map(readStrictly);
  const forwarded = readings.map((reading) => {
    const requests = reading.requests.map(
      ({ method, target, body }) => `${method} ${target}${isEnd(target) ? "" : ` ${JSON.stringify(body)}`}`,
    );
    if (reading.rest === "ambiguous") requests.push(`ambiguous bytes (${reading.problem})`);
    return requests.join(" + ");
  });
  const refusal = [...answer.matchAll(/^HTTP\/1\.[01] ([345]\d\d) /gm)].map((match) => `refused ${match[1]}`);
  // A request of which the origin got a part is none: it ends when that may not have arrived at all.
  const parts = [...forwarded.filter((text) => text !== ""), ...refusal];
  return { readings, answer, outcome: parts.length === 0 ? "closed" : parts.join(", ") };
}

function isEnd(target: string): boolean {
  return target === "/end";
}

async function ready(peer: Peer): Promise<Peer> {
  const begins = async (): Promise<boolean> => (await play(peer, "")).outcome === "GET /end";
  await waitFor(begins, { what: `${peer.name} to answer`, timeoutMs: 10_000 }).catch(async (error: unknown) => {
    await peer[Symbol.asyncDispose]();
    throw error;
  });
  return peer;
}

/** The program's own words about its version: the first number of "-v". */
function versionOf(program: string): string {
  const run = Bun.spawnSync([program, "-v"]);
  const text = run.stdout.toString() + run.stderr.toString();
  return `${program} ${/\d+\.\d+/.exec(text)?.[0] ?? "?"}`;
}

/** A program on a unix socket in a directory of its own, where the port cannot be taken by anybody. */
function startProgram(
  name: string,
  config: (dir: string, port: number) => string,
  command: (dir: string) => readonly string[],
): Promise<Peer> {
  const dir = mkdtempSync(join(tmpdir(), "sluice-differential-"));
  const origin = startRecordingOrigin();
  writeFileSync(join(dir, "proxy.conf"), config(dir, origin.port));
  const child = Bun.spawn(tied(command(dir)), { cwd: dir, stdio: ["ignore", "ignore", "ignore"] });
  return ready({
    name,
    version: versionOf(name),
    address: { unix: join(dir, "proxy.sock") },
    origin,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.exited;
      origin[Symbol.dispose]();
      rmSync(dir, { recursive: true, force: true });
    },
  });
}

/** Default settings, but for what concerns the connection to the origin and for a client that has sent FIN. */
export function startNginx(): Promise<Peer> {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  return startProgram(
    "nginx",
    (dir, port) => `
daemon off;
master_process off;
pid ${dir}/nginx.pid;
events {}
http {
  access_log off;
${temporary.map((name) => `  ${name}_temp_path ${dir}/${name};`).join("\n")}
  server {
    listen unix:${dir}/proxy.sock;
    location / {
      proxy_pass http://127.0.0.1:${port};
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_ignore_client_abort on;
    }
  }
}
`,
    (dir) => ["nginx", "-e", `${dir}/error.log`, "-p", dir, "-c", `${dir}/proxy.conf`],
  );
}

export function startHaproxy(): Promise<Peer> {
  return startProgram(
    "haproxy",
    (dir, port) => `
defaults
  mode http
  timeout connect 2s
  timeout client 2s
  timeout server 2s
  option http-server-close
  http-reuse never
frontend web
  bind unix@${dir}/proxy.sock
  default_backend app
backend app
  server origin 127.0.0.1:${port}
`,
    (dir) => ["haproxy", "-db", "-f", `${dir}/proxy.conf`],
  );
}

export async function startSluicePeer(): Promise<Peer> {
  const origin = startRecordingOrigin();
  const sluice = await startSluice(`
workers: 1
accessLog: off
listeners:
  web: { bind: "127.0.0.1:0", forward: app }
pools:
  app: { endpoints: ["127.0.0.1:${origin.port}"], keepAlive: { connections: 0 }, passive: off }
`);
  const [hostname = "", port = ""] = sluice.address("web").split(":");
  return ready({
    name: "sluice",
    version: "",
    address: { hostname, port: Number(port) },
    origin,
    async [Symbol.asyncDispose]() {
      await sluice.kill();
      origin[Symbol.dispose]();
    },
  });
}
