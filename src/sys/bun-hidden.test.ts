// The contract with the pinned Bun: every undocumented behaviour this folder rests on, each by itself. After an
// upgrade of Bun a failure here names the ground that moved. It tests Bun, not Sluice.

import { afterEach, expect, test } from "bun:test";
import { openSync, readFileSync, readlinkSync } from "node:fs";
import { connectOnFd, listenOnFd } from "./bun-hidden.ts";
import type { RawHandlers, RawListener, RawSocket } from "./bun-hidden.ts";
import { closeFd, dupFd, getIntOption, libc, openSocket } from "./libc.ts";
import { createListener } from "./listen-socket.ts";
import { platform } from "./platform.ts";
import { encodeAddress, encoded, SOCK_STREAM, sockaddr } from "./sockaddr.ts";
import { anyPort, openDescriptors, settle, until } from "./test-kit.ts";

/** What happened to one socket, in order. */
interface Story {
  name: string;
  events: string[];
  bytes: Buffer[];
  socket: RawSocket<Story> | null;
}

const begin = (name: string): Story => ({ name, events: [], bytes: [], socket: null });

const accepted: Story[] = [];
const listeners: RawListener[] = [];

afterEach(() => {
  for (const story of accepted) story.socket?.terminate();
  for (const listener of listeners) listener.stop();
  accepted.length = 0;
  listeners.length = 0;
});

function handlers(onOpen: (socket: RawSocket<Story>) => Story): RawHandlers<Story> {
  return {
    open(socket) {
      const story = onOpen(socket);
      story.socket = socket;
      story.events.push("open");
    },
    data(socket, bytes) {
      socket.data.bytes.push(bytes);
      socket.data.events.push("data");
    },
    drain: (socket) => void socket.data.events.push("drain"),
    end: (socket) => void socket.data.events.push("end"),
    close(socket, error) {
      socket.data.events.push(`close ${(error as { code?: string } | undefined)?.code ?? ""}`.trim());
    },
    error: (socket, error) => void socket.data.events.push(`error ${error.message}`),
    connectError: (socket) => void socket.data.events.push("connectError"),
  };
}

const incoming = handlers((socket) => {
  const story = begin(`accepted by ${socket.data.name}`);
  socket.data = story;
  accepted.push(story);
  return story;
});
const outgoing = handlers((socket) => socket.data);

function listen(): { readonly listener: RawListener; readonly port: number; readonly fd: number } {
  const { fd, port } = createListener(anyPort, { backlog: 16, reusePort: false });
  const listener = listenOnFd(fd, begin("listener"), incoming);
  listeners.push(listener);
  return { listener, port, fd };
}

function beginConnect(port: number): number {
  encodeAddress("127.0.0.1", port);
  const fd = openSocket(libc!, encoded.family, SOCK_STREAM);
  libc!.connect(fd, sockaddr, encoded.length);
  return fd;
}

async function pair(port: number): Promise<{ readonly near: Story; readonly far: Story }> {
  const near = begin("near");
  const count = accepted.length;
  void connectOnFd(beginConnect(port), near, outgoing);
  await until("both ends", () => near.events.includes("drain") && accepted.length > count);
  return { near, far: accepted[count]! };
}

test("the version is the one these contracts were measured on", () => {
  expect(Bun.version).toBe("1.4.5");
});

test("listen({fd}) accepts on the descriptor, owns it, and gives its data to accepted sockets", async () => {
  const { listener, port, fd } = listen();
  expect(listener.fd).toBe(fd);
  expect(listener.port).toBeUndefined();
  const { near, far } = await pair(port);
  expect(far.name).toBe("accepted by listener");
  listener.stop();
  expect(() => readlinkSync(`/proc/self/fd/${fd}`)).toThrow();
  far.socket!.write(Buffer.from("still here"), 0, 10);
  await until("data after stop", () => near.bytes.length === 1);
  near.socket!.terminate();
});

test("stop() does not shut the listening socket down for other descriptors of it", async () => {
  const { listener, fd, port } = listen();
  const copy = dupFd(fd);
  listener.stop();
  const near = begin("near");
  void connectOnFd(beginConnect(port), near, outgoing);
  await until("the kernel to accept", () => near.events.includes("drain"));
  listeners.push(listenOnFd(copy, begin("second listener"), incoming));
  await until("the queued client", () => accepted.length === 1);
  expect(accepted[0]!.name).toBe("accepted by second listener");
  near.socket!.terminate();
});

test("listen({fd}) throws for a descriptor that is no listening socket and leaves it open", () => {
  const fd = openSocket(libc!, 2, SOCK_STREAM);
  closeFd(fd);
  expect(() => listenOnFd(fd, begin("x"), incoming)).toThrow();
});

test("connect({fd}) opens before it returns, and the first drain means connected", async () => {
  const { port } = listen();
  const near = begin("near");
  const fd = beginConnect(port);
  const promise = connectOnFd(fd, near, outgoing);
  expect(near.events).toEqual(["open"]);
  expect(near.socket!.fd).toBe(fd);
  await promise;
  await until("drain", () => near.events.length > 1);
  expect(near.events).toEqual(["open", "drain"]);
  near.socket!.terminate();
});

test("connect({fd}) of a refused connect closes with the real code and without drain", async () => {
  const { fd, port } = createListener(anyPort, { backlog: 1, reusePort: false });
  closeFd(fd);
  const near = begin("near");
  void connectOnFd(beginConnect(port), near, outgoing);
  await until("close", () => near.events.length > 1);
  expect(near.events).toEqual(["open", "close ECONNREFUSED"]);
});

test("connect({fd}) of a wrong descriptor: connectError at once, a rejection, and it stays open", async () => {
  const near = begin("near");
  const fd = openSync("/etc/passwd", "r"); // epoll takes no ordinary files
  const promise = connectOnFd(fd, near, outgoing);
  expect(near.events).toEqual(["connectError"]);
  await expect(promise).rejects.toThrow();
  expect(readlinkSync(`/proc/self/fd/${fd}`)).toBe("/etc/passwd");
  closeFd(fd);
});

test("terminate() and end() call close before they return; fd is -1 and calls are no-ops afterwards", async () => {
  const { port } = listen();
  for (const how of ["terminate", "end"] as const) {
    const { near, far } = await pair(port);
    near.socket![how]();
    expect(near.events.at(-1)).toBe("close");
    expect(near.socket!.fd).toBe(-1);
    expect(near.socket!.write(Buffer.from("x"), 0, 1)).toBe(-1);
    near.socket![how]();
    near.socket!.shutdown();
    near.socket!.pause();
    near.socket!.resume();
    await until("the far end", () => far.events.includes(how === "terminate" ? "close ECONNRESET" : "end"));
    expect(near.events.filter((event) => event.startsWith("close")).length).toBe(1);
  }
});

test("shutdown() sends FIN only; when both sides have sent theirs the socket closes by itself", async () => {
  const { port } = listen();
  const { near, far } = await pair(port);
  near.socket!.shutdown();
  await until("FIN", () => far.events.includes("end"));
  far.socket!.write(Buffer.from("late"), 0, 4);
  await until("late data", () => near.bytes.length === 1);
  far.socket!.shutdown();
  await until("both closed", () => near.events.at(-1) === "close" && far.events.at(-1) === "close");
  expect(near.events).not.toContain("end");
});

test("write(bytes, offset, length) sends that part; write(text, 'latin1') one byte a character", async () => {
  const { port } = listen();
  const { near, far } = await pair(port);
  const bytes = Buffer.from("..abcdef..");
  expect(near.socket!.write(bytes.subarray(1), 1, 6)).toBe(6);
  expect(near.socket!.write("caf\u00e9", "latin1")).toBe(4);
  await until("all", () => Buffer.concat(far.bytes).length === 10);
  expect(Buffer.concat(far.bytes).toString("latin1")).toBe("abcdefcaf\u00e9");
  near.socket!.terminate();
});

test("a throw in a handler reaches error and leaves the socket open", async () => {
  const { port } = listen();
  const near = begin("near");
  const throwing = { ...outgoing, data: () => void failNow() };
  void connectOnFd(beginConnect(port), near, throwing);
  await until("accepted", () => accepted.length === 1 && near.events.includes("drain"));
  accepted[0]!.socket!.write(Buffer.from("x"), 0, 1);
  await until("error", () => near.events.includes("error thrown on purpose"));
  expect(near.socket!.fd).toBeGreaterThan(0);
  near.socket!.terminate();
});

function failNow(): void {
  throw new Error("thrown on purpose");
}

test("sockets are TCP_NODELAY and closed on exec, both accepted and taken over", async () => {
  const { port } = listen();
  const { near, far } = await pair(port);
  for (const story of [near, far]) {
    const fd = story.socket!.fd;
    expect(getIntOption(fd, 6, 1)).not.toBe(0);
    const flags = /^flags:\s+(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8"))![1]!;
    expect(Number.parseInt(flags, 8) & 0o2000000).toBe(0o2000000);
  }
  expect(near.socket!.setKeepAlive(true, 30_000)).toBe(true);
  expect(getIntOption(near.socket!.fd, platform.solSocket, platform.soKeepAlive)).not.toBe(0);
  expect(getIntOption(near.socket!.fd, 6, platform.tcpKeepIdle)).toBe(30);
  near.socket!.terminate();
});

test("a paused socket delivers nothing, holds back FIN, and hears a reset", async () => {
  const { port } = listen();
  const { near, far } = await pair(port);
  far.socket!.pause();
  near.socket!.write(Buffer.from("x"), 0, 1);
  near.socket!.shutdown();
  await settle();
  expect(far.events).not.toContain("data");
  expect(far.events).not.toContain("end");
  near.socket!.terminate();
  await until("reset", () => far.events.at(-1)!.startsWith("close"));
});

test("mmap of a descriptor's /proc path is shared with another mapping", () => {
  const fd = libc!.memfd_create!(new TextEncoder().encode("x\0"), 1);
  libc!.ftruncate(fd, 8192);
  const one = new Int32Array(Bun.mmap(`/proc/self/fd/${fd}`, { shared: true }).buffer);
  const two = new Int32Array(Bun.mmap(`/proc/self/fd/${fd}`, { shared: true }).buffer);
  Atomics.add(one, 3, 7);
  expect(Atomics.load(two, 3)).toBe(7);
  expect(one.length).toBe(2048);
  closeFd(fd);
  Atomics.add(two, 3, 1);
  expect(Atomics.load(one, 3)).toBe(8);
});

test("connecting leaves nothing open", async () => {
  const { port } = listen();
  await settle();
  const before = openDescriptors();
  for (let i = 0; i < 20; i++) {
    const { near, far } = await pair(port);
    near.socket!.terminate();
    await until("far end", () => far.events.at(-1)!.startsWith("close"));
  }
  expect(openDescriptors()).toBe(before);
});
