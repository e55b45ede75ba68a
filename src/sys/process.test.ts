// Supervisor and workers as real processes: messages, descriptors handed over, shared memory, deaths of either side.
// The worker is test-worker.ts.

import { afterEach, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { createClock } from "./clock.ts";
import { closeChannel, createChannel, receiveFd, sendFd, tryReceiveFd, trySendFd } from "./fd-passing.ts";
import type { Channel } from "./fd-passing.ts";
import { libc } from "./libc.ts";
import { closeFd, createListener } from "./listen-socket.ts";
import type { ListenSocket } from "./listen-socket.ts";
import { platform } from "./platform.ts";
import { cpuCount, onSignal, onUncaught, pid, raiseFileLimit, role, rssBytes, spawnWorker } from "./process.ts";
import type { WorkerProcess } from "./process.ts";
import { createSharedMemory } from "./shm.ts";
import type { SharedMemory } from "./shm.ts";
import { anyPort, dial, openDescriptors, serve, settle, until } from "./test-kit.ts";
import type { Order } from "./test-worker.ts";

const script = `${import.meta.dir}/test-worker.ts`;

interface TestWorker {
  readonly process: WorkerProcess;
  readonly channel: Channel;
  readonly messages: Record<string, unknown>[];
  readonly exits: (number | string | null)[][];
  order(order: Order): boolean;
  heard(key: string): Record<string, unknown> | undefined;
}

const workers: TestWorker[] = [];

afterEach(() => {
  for (const worker of workers) {
    worker.process.kill("SIGKILL");
    closeChannel(worker.channel);
  }
  workers.length = 0;
});

async function start(name: string, memory: SharedMemory | null = null): Promise<TestWorker> {
  const messages: Record<string, unknown>[] = [];
  const exits: (number | string | null)[][] = [];
  const channel = createChannel();
  const process = spawnWorker({
    args: ["--flag", name],
    env: { TEST_NAME: name, TEST_MEMORY_BYTES: String(memory?.bytes ?? 0) },
    channelFd: channel.farFd,
    memoryFd: memory?.fd ?? null,
    onMessage: (message) => messages.push(message as Record<string, unknown>),
    onExit: (code, signal) => exits.push([code, signal]),
    script,
  });
  const worker: TestWorker = {
    process,
    channel,
    messages,
    exits,
    order: (order) => process.send(order),
    heard: (key) => messages.find((message) => key in message),
  };
  workers.push(worker);
  await until(`${name} to be ready`, () => worker.heard("ready") !== undefined);
  return worker;
}

describe("a worker", () => {
  test("knows its role, its arguments and its environment, and talks JSON both ways", async () => {
    const worker = await start("w1");
    const value = { text: "é\n", list: [1, null, true], nested: { big: "x".repeat(200_000) } };
    expect(worker.order({ do: "echo", value })).toBe(true);
    await until("the echo", () => worker.heard("value") !== undefined);
    expect(worker.heard("value")).toEqual({ name: "w1", role: "worker", argv: ["--flag", "w1"], value });
    expect(role()).toBe("supervisor");
  });

  test("reads the same monotonic clock", async () => {
    const clock = createClock();
    const worker = await start("w1");
    const before = clock.nowMs();
    worker.order({ do: "time" });
    await until("the reading", () => worker.heard("nowMs") !== undefined);
    const reading = worker.heard("nowMs")!["nowMs"] as number;
    // Both offsets are exact to microseconds; a millisecond covers a preempted reading.
    expect(reading).toBeGreaterThan(before - 1);
    expect(reading).toBeLessThan(clock.nowMs() + 1);
  });

  test("that exits or is killed is reported once, and sending to it is harmless", async () => {
    const first = await start("w1");
    const second = await start("w2");
    first.order({ do: "exit", code: 7 });
    second.process.kill("SIGKILL");
    await until("both ends", () => first.exits.length > 0 && second.exits.length > 0);
    expect(first.order({ do: "time" })).toBe(false);
    await settle();
    expect(first.exits).toEqual([[7, null]]);
    expect(second.exits).toEqual([[null, "SIGKILL"]]);
  });

  test("notices the death of its supervisor, even by kill -9", async () => {
    const memory = createSharedMemory(4096);
    const supervisor = Bun.spawn([process.execPath, `${import.meta.dir}/test-supervisor.ts`], {
      env: { ...process.env, TEST_WORKER: script, TEST_MEMORY_BYTES: "4096" },
      stdio: ["ignore", "pipe", "inherit", "ignore", memory.fd],
    });
    const reader = supervisor.stdout.getReader();
    expect(new TextDecoder().decode((await reader.read()).value)).toBe("ready\n");
    supervisor.kill("SIGKILL");
    await until("the worker's mark", () => Atomics.load(new Int32Array(memory.buffer), 0) === 1);
    // The worker holds the other end of our pipe: its end is the end of the stream.
    expect((await reader.read()).done).toBe(true);
    closeFd(memory.fd);
  });
});

describe("shared memory", () => {
  test("atomic counts of two processes and this one are exact", async () => {
    const memory = createSharedMemory(64 * 1024);
    const [one, two] = await Promise.all([start("w1", memory), start("w2", memory)]);
    const times = 200_000;
    one.order({ do: "count", index: 9, times });
    two.order({ do: "count", index: 9, times });
    const numbers = new Int32Array(memory.buffer);
    for (let i = 0; i < times; i++) Atomics.add(numbers, 9, 1);
    await until("both to finish", () => one.heard("counted") !== undefined && two.heard("counted") !== undefined);
    expect(Atomics.load(numbers, 9)).toBe(3 * times);
    closeFd(memory.fd);
  });

  test("survives the death of a worker and is mapped again by the next", async () => {
    const memory = createSharedMemory(4096);
    const first = await start("w1", memory);
    first.order({ do: "count", index: 1, times: 5 });
    await until("the first count", () => first.heard("counted") !== undefined);
    first.process.kill("SIGKILL");
    const second = await start("w2", memory);
    second.order({ do: "count", index: 1, times: 6 });
    await until("the second count", () => second.heard("counted") !== undefined);
    expect(Atomics.load(new Int32Array(memory.buffer), 1)).toBe(11);
    closeFd(memory.fd);
  });
});

describe("descriptors handed over", () => {
  test("arrive with their tags, in order, closed on exec, and nothing leaks", async () => {
    const before = openDescriptors();
    const channel = createChannel();
    expect(tryReceiveFd(channel.farFd)).toBeNull();
    const sockets = [1, 2, 3].map(() => createListener(anyPort, { backlog: 1, reusePort: false }));
    for (const [i, socket] of sockets.entries()) await sendFd(channel.nearFd, socket.fd, 0xfffffff0 + i);
    for (const [i, socket] of sockets.entries()) {
      const received = await receiveFd(channel.farFd);
      expect(received.tag).toBe(0xfffffff0 + i);
      expect(received.fd).not.toBe(socket.fd);
      const flags = /^flags:\s+(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${received.fd}`, "utf8"))![1]!;
      expect(Number.parseInt(flags, 8) & 0o2000000).toBe(0o2000000);
      closeFd(received.fd);
      closeFd(socket.fd);
    }
    closeChannel(channel);
    expect(openDescriptors()).toBe(before);
  });

  test("a channel nobody reads fills up, one that is closed or absent is an error", async () => {
    const channel = createChannel();
    const socket = createListener(anyPort, { backlog: 1, reusePort: false });
    let sent = 0;
    while (sent < 10_000 && trySendFd(channel.nearFd, socket.fd, sent)) sent++;
    expect(sent).toBeGreaterThan(50);
    expect(sent).toBeLessThan(10_000);
    await expect(sendFd(channel.nearFd, socket.fd, 0, 10)).rejects.toThrow("nobody takes descriptors");
    closeFd(channel.farFd);
    expect(() => trySendFd(channel.nearFd, socket.fd, 1)).toThrow(/EPIPE|ECONNRESET/);
    expect(() => tryReceiveFd(channel.nearFd)).toThrow();
    closeFd(channel.nearFd);
    await expect(receiveFd(channel.nearFd)).rejects.toThrow("EBADF");
    expect(() => trySendFd(channel.nearFd, socket.fd, 1)).toThrow("EBADF");
    closeFd(socket.fd);
  });

  test("nothing in time is an error, and so is a descriptor lost to the limit of open files", async () => {
    const channel = createChannel();
    await expect(receiveFd(channel.farFd, 10)).rejects.toThrow("no descriptor came");
    trySendFd(channel.nearFd, 0, 1);
    const limit = new BigUint64Array(2);
    libc!.getrlimit(platform.rlimitNofile, limit);
    const before = limit[0]!;
    limit[0] = 3n;
    libc!.setrlimit(platform.rlimitNofile, limit);
    let message = "";
    try {
      tryReceiveFd(channel.farFd);
    } catch (error) {
      message = String(error);
    }
    limit[0] = before;
    libc!.setrlimit(platform.rlimitNofile, limit);
    expect(message).toContain("the limit of open files is reached");
    closeChannel(channel);
  });
});

describe("four workers on one port", () => {
  const client = serve(); // its network does the connecting
  const listenOptions = { backlog: 256, reusePort: true } as const;

  async function startServing(index: number, socket: ListenSocket): Promise<TestWorker> {
    const worker = await start(`w${index}`);
    await sendFd(worker.channel.nearFd, socket.fd, index);
    worker.order({ do: "serve", port: socket.port });
    await until(`w${index} to serve`, () => worker.heard("serving") !== undefined);
    expect(worker.heard("serving")).toEqual({ serving: index });
    return worker;
  }

  function greetings(port: number, count: number): (() => string)[] {
    return Array.from({ length: count }, () => {
      const recorder = dial(client.net, { ...anyPort, port });
      return () => {
        if (recorder.finished > 0) recorder.connection.close();
        return recorder.isClosed ? recorder.text : "";
      };
    });
  }

  test("all serve; one killed takes nobody with it, and its queue is served by its successor", async () => {
    const sockets: ListenSocket[] = [createListener(anyPort, listenOptions)];
    const { port } = sockets[0]!;
    for (let i = 1; i < 4; i++) sockets.push(createListener({ ...anyPort, port }, listenOptions));
    const team = await Promise.all(sockets.map((socket, i) => startServing(i, socket)));

    const first = greetings(port, 200);
    await until("200 answers", () => first.every((text) => text() !== ""));
    expect(new Set(first.map((text) => text()))).toEqual(new Set(["w0", "w1", "w2", "w3"]));

    team[2]!.process.kill("SIGKILL");
    await until("its end", () => team[2]!.exits.length === 1);
    const second = greetings(port, 200);
    // Those the kernel gave to the dead worker's socket wait in its queue, which the supervisor's descriptor keeps
    // alive.
    const waiting = (): number => second.filter((text) => text() === "").length;
    await until("the others to serve theirs", () => waiting() < 120);
    await settle();
    const stuck = waiting();
    expect(stuck).toBeGreaterThan(0);
    expect(team.filter((worker) => worker.exits.length > 0).length).toBe(1);

    await startServing(2, sockets[2]!);
    await until("the queue", () => waiting() === 0);
    expect(second.filter((text) => text() === "w2").length).toBeGreaterThanOrEqual(stuck);
    for (const socket of sockets) closeFd(socket.fd);
  });
});

describe("this process", () => {
  test("figures are plausible", () => {
    expect(cpuCount()).toBeGreaterThanOrEqual(1);
    expect(rssBytes()).toBeGreaterThan(1_000_000);
    expect(pid()).toBe(process.pid);
    const limit = raiseFileLimit()!;
    expect(limit.soft).toBe(limit.hard);
  });

  test("signals and exceptions nobody caught are heard, and the process goes on", async () => {
    const source = `
      import { onSignal, onUncaught } from "${import.meta.dir}/process.ts";
      onSignal("SIGHUP", () => { console.log("hup"); setTimeout(() => { throw new Error("late") }, 1); });
      onUncaught((error) => { console.log("uncaught " + error.message);
        if (error.message === "late") Promise.reject(new Error("rejected")); else process.exit(0); });
      setInterval(() => {}, 1000);
      process.kill(process.pid, "SIGHUP");`;
    const child = Bun.spawn([process.execPath, "-e", source], { stdout: "pipe" });
    expect(await child.stdout.text()).toBe("hup\nuncaught late\nuncaught rejected\n");
    expect(await child.exited).toBe(0);
    expect([typeof onSignal, typeof onUncaught]).toEqual(["function", "function"]);
  });
});
