// `sluice demo`: the balancer before three back ends of its own, nothing else needed.

import { loadText, type LoadedFile } from "../config/load.ts";
import { closeFd, createListener } from "../sys/listen-socket.ts";
import { onSignal, spawnWorker, type WorkerProcess } from "../sys/process.ts";
import { after } from "../sys/timers.ts";
import { ExitCode, type Command, type Io } from "./command.ts";
import { DEMO_VARIABLE, type DemoBackendBoot, type DemoBackendReady } from "./demo-backend.ts";
import { readOptions } from "./options.ts";
import { serve } from "./serve.ts";

const names = ["a", "b", "c"] as const;
const firstBackendPort = 9001;
const defaultPort = 8080;
const defaultAdminPort = 9900;
/** A killed back end comes back after this long, so that its return can be watched too. */
const returnMs = 15_000;
const settleMs = 200;

export const command: Command = {
  name: "demo",
  summary: "Run the balancer before three sample back ends",
  usage: "sluice demo [--port PORT] [--admin PORT]",
  help: `
  --port PORT   of the balancer, ${defaultPort} by default
  --admin PORT  of the admin API, ${defaultAdminPort} by default

Everything listens on 127.0.0.1 only. A port that is not named and is in use is replaced by a free one. Prints what
to try. Ctrl-C ends it.`,
  run(args, io) {
    const specs = [
      { name: "port", takesValue: true },
      { name: "admin", takesValue: true },
    ];
    const options = readOptions(command, args, specs, 0, io);
    if (typeof options === "number") return Promise.resolve(options);
    const ports = [options.value("port"), options.value("admin")].map((text) =>
      text === undefined ? null : parsePort(text),
    );
    if (ports.includes(-1)) {
      io.err(`sluice demo: a port is a number from 1 to 65535\nusage: ${command.usage}\n`);
      return Promise.resolve(ExitCode.Usage);
    }
    const port = ports[0] ?? freePort(defaultPort);
    const admin = ports[1] ?? freePort(defaultAdminPort);
    return runDemo(port, admin, io);
  },
};

function parsePort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  return port >= 1 && port <= 65_535 ? port : -1;
}

/** The preferred port, or any free one if it is taken. */
function freePort(preferred: number): number {
  for (const port of [preferred, 0]) {
    try {
      const socket = createListener({ ip: "127.0.0.1", port, unixPath: null }, { backlog: 1, reusePort: false });
      closeFd(socket.fd);
      return socket.port;
    } catch {
      // In use: the system chooses.
    }
  }
  return preferred;
}

/** One back end: its process and where it listens. */
interface Backend {
  readonly name: string;
  port: number;
  process: WorkerProcess;
}

async function runDemo(port: number, admin: number, io: Io): Promise<number> {
  let ending = false;
  const onEnd = (): void => {
    ending = true;
  };
  onSignal("SIGINT", onEnd);
  onSignal("SIGTERM", onEnd);
  const backends = await Promise.all(
    names.map(async (name, i) => {
      const backend = await startBackend(name, firstBackendPort + i, (how) => {
        // Not when all were told to end, which they hear in any order.
        after(settleMs, () => {
          if (ending) return;
          io.out(`back end ${name} is gone (${how}); it comes back in ${returnMs / 1000} s\n`);
          after(returnMs, () => void restart(backend));
        });
      });
      return backend;
    }),
  );
  async function restart(backend: Backend): Promise<void> {
    if (ending) return;
    const next = await startBackend(backend.name, backend.port, (how) => {
      if (!ending) io.out(`back end ${backend.name} is gone again (${how}), for good\n`);
    });
    backend.process = next.process;
    io.out(`back end ${backend.name} is back, pid ${next.process.pid}\n`);
  }
  const text = configuration(port, admin, backends);
  const load = (): Promise<LoadedFile> => Promise.resolve({ text, hooks: null, ...loadText(text, "demo.yaml") });
  const code = await serve({ load, onReady: () => io.out(instructions(port, admin, backends)) }, io);
  ending = true;
  for (const backend of backends) backend.process.kill("SIGKILL");
  return code;
}

/** Starts a back end; resolves once it listens. */
function startBackend(name: string, port: number, onGone: (how: string) => void): Promise<Backend> {
  const boot: DemoBackendBoot = { name, port };
  return new Promise((resolve, reject) => {
    let listening = false;
    const process = spawnWorker({
      args: [],
      env: { [DEMO_VARIABLE]: JSON.stringify(boot) },
      channelFd: null,
      memoryFd: null,
      onMessage(message) {
        listening = true;
        resolve({ name, port: (message as DemoBackendReady).port, process });
      },
      onExit(code, signal) {
        const how = signal ?? `exit code ${code}`;
        if (listening) onGone(how);
        else reject(new Error(`back end ${name} could not be started: ${how}`));
      },
    });
  });
}

function configuration(port: number, admin: number, backends: readonly Backend[]): string {
  const endpoints = backends.map(
    (backend) => `      - { id: ${backend.name}, address: "127.0.0.1:${backend.port}" }\n`,
  );
  return `# What sluice demo runs. Put it into a file and run it with: sluice run FILE
admin: { bind: 127.0.0.1:${admin} }
accessLog: off
workers: 1 # one alone takes turns visibly; several begin with different back ends
listeners:
  web: { bind: 127.0.0.1:${port}, forward: app }
pools:
  app:
    balance: round-robin
    health: { path: /health, interval: 2s, timeout: 1s, healthyThreshold: 2, unhealthyThreshold: 2 }
    endpoints:
${endpoints.join("")}`;
}

function instructions(port: number, admin: number, backends: readonly Backend[]): string {
  const line = (b: Backend): string => `  ${b.name}  http://127.0.0.1:${b.port}  pid ${b.process.pid}\n`;
  const option = admin === defaultAdminPort ? "" : ` --admin 127.0.0.1:${admin}`;
  const tries = [
    [`curl http://127.0.0.1:${port}/`, "again and again: a, b and c take turns"],
    [`curl http://127.0.0.1:${port}/headers`, "what a back end sees of a request"],
    [`bin/sluice status${option}`, "every endpoint with its health"],
    [`kill -9 ${backends[0]!.process.pid}`, `traffic goes round a; it comes back after ${returnMs / 1000} s`],
    [`bin/sluice drain${option} app/b`, "b gets nothing new"],
    [`bin/sluice ready${option} app/b`, "b gets its share again"],
    [`curl http://127.0.0.1:${admin}/metrics`, "for Prometheus"],
  ] as const;
  const width = Math.max(...tries.map(([text]) => text.length));
  const lines = tries.map(([text, remark]) => `  ${text.padEnd(width)}  ${remark}\n`);
  return `
Sluice balances http://127.0.0.1:${port} over three back ends:

${backends.map(line).join("")}
Try in another terminal:

${lines.join("")}
Ctrl-C ends it.

`;
}
