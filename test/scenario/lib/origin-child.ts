// The scripted origin in a process of its own, for what cannot be done to one inside the test: kill -9, SIGSTOP, and
// coming back on the same port. Started as a program this file is that process; imported it offers spawnOrigin().

import { type Origin, type OriginStats, startOrigin } from "./origin.ts";
import { tied } from "./tied.ts";
import { within } from "./wait.ts";

/** An origin that can be hurt. */
export interface ChildOrigin extends AsyncDisposable {
  readonly name: string;
  readonly port: number;
  /** "127.0.0.1:PORT" */
  readonly address: string;
  readonly pid: number;
  /** Asks the process for its counters; rejects when it is dead or stopped. */
  stats(): Promise<OriginStats>;
  /** SIGSTOP, SIGCONT, SIGKILL, ... */
  signal(signal: NodeJS.Signals): void;
  /** Kills it, for good; resolves when it is gone. */
  kill(): Promise<void>;
}

type FromChild = { readonly port: number } | { readonly stats: OriginStats };

const REPLY_TIMEOUT_MS = 5000;

/** Starts an origin in a child process; with a port, for one that comes back. */
export async function spawnOrigin(options: { readonly name: string; readonly port?: number }): Promise<ChildOrigin> {
  const waiting: ((message: FromChild) => void)[] = [];
  const command = [process.execPath, import.meta.path, options.name, String(options.port ?? 0)];
  const child = Bun.spawn(tied(command), {
    stdio: ["ignore", "inherit", "inherit"],
    ipc: (message: FromChild) => waiting.shift()?.(message),
  });
  const reply = (what: string): Promise<FromChild> => {
    const message = new Promise<FromChild>((resolve, reject) => {
      waiting.push(resolve);
      void child.exited.then(() => reject(new Error(`origin ${options.name} has ended`)));
    });
    return within(message, REPLY_TIMEOUT_MS, () => `${what} of origin ${options.name}`);
  };
  const kill = async (): Promise<void> => {
    child.kill("SIGKILL");
    await child.exited;
  };
  const first = await reply("the port").catch(async (error: unknown) => {
    await kill();
    throw error;
  });
  if (!("port" in first)) throw new Error(`origin ${options.name} did not tell its port`);
  return {
    name: options.name,
    port: first.port,
    address: `127.0.0.1:${first.port}`,
    pid: child.pid,
    async stats() {
      if (child.exitCode !== null || child.signalCode !== null) throw new Error(`origin ${options.name} has ended`);
      child.send("stats");
      const message = await reply("the counters");
      if (!("stats" in message)) throw new Error(`origin ${options.name} did not tell its counters`);
      return message.stats;
    },
    signal: (signal) => child.kill(signal),
    kill,
    [Symbol.asyncDispose]: kill,
  };
}

if (import.meta.main) {
  const origin: Origin = startOrigin({ name: process.argv[2] ?? "origin", port: Number(process.argv[3] ?? 0) });
  const tell = (message: FromChild): void => void process.send?.(message);
  process.on("message", () => tell({ stats: origin.stats() }));
  process.on("disconnect", () => process.exit(0)); // the test is gone
  tell({ port: origin.port });
}
