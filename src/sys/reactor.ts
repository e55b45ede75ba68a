// An event loop of our own on epoll, for sockets that are worked with by plain system calls: no object, no buffer and
// no copy per event, which Bun's sockets cost (measured: 0.5 µs of 6.5 per receive and send, and half of a 64 KB
// receive). Bun's loop stays the one of everything else: its epoll descriptor is watched here like a socket, and
// whenever it has work, or nothing is left to do here, the turn goes back to Bun. Linux only; null elsewhere.

import { dlopen, ptr, read } from "bun:ffi";
import type { Pointer } from "bun:ffi";
import { drainMicrotasks } from "bun:jsc";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { lent } from "../base/lending.ts";
import { listenOnUnix } from "./bun-hidden.ts";
import { isLinux, platform } from "./platform.ts";

const int = "i32" as const;
const pointer = "ptr" as const;
const symbols = {
  epoll_create1: { args: [int], returns: int },
  epoll_ctl: { args: [int, int, int, pointer], returns: int },
  epoll_wait: { args: [int, pointer, int, int], returns: int },
  // Results are read as 32 bits: no call here moves more than a few megabytes.
  recv: { args: [int, pointer, "u64", int], returns: int },
  send: { args: [int, pointer, "u64", int], returns: int },
  accept4: { args: [int, pointer, pointer, int], returns: int },
  close: { args: [int], returns: int },
  shutdown: { args: [int, int], returns: int },
} as const;

/** System calls with addresses as numbers. -1 on failure; errno() must be read at once. */
export interface Calls {
  epoll_create1(flags: number): number;
  epoll_ctl(epoll: number, operation: number, fd: number, event: number): number;
  epoll_wait(epoll: number, events: number, count: number, timeoutMs: number): number;
  recv(fd: number, into: number, length: number, flags: number): number;
  send(fd: number, from: number, length: number, flags: number): number;
  accept4(fd: number, address: number, length: number, flags: number): number;
  close(fd: number): number;
  shutdown(fd: number, how: number): number;
}

/**
 * Memory whose address may be kept. Only arrays on an ArrayBuffer of their own have one: a short typed array made by
 * length alone moves when its buffer is first asked for (found on Bun 1.4.5: an epoll_event went to the old place).
 */
export function fixedBytes(length: number): Uint8Array {
  return new Uint8Array(new ArrayBuffer(length));
}

/** The address of bytes[0]. For memory that is not fixedBytes it is good for the next call only. */
export function addressOf(bytes: Uint8Array | Int32Array): number {
  return ptr(bytes);
}

/** The address of the lent memory, which never moves. */
export const lentAddress: number = ptr(lent);

export const EPOLLIN = 1;
export const EPOLLOUT = 4;
export const EPOLLERR = 8;
export const EPOLLHUP = 16;
export const EPOLLRDHUP = 0x2000;
export const EPOLLET = 1 << 31;

const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;
const EPOLL_CLOEXEC = 0x80000;

/** Who is told what epoll saw of a descriptor. */
export interface Pollable {
  /** Made by register(); tells this use of a descriptor number from an earlier one. */
  generation: number;
  /** In the reactor's list of those that want another turn. */
  waiting: boolean;
  onEvents(mask: number): void;
  /** The turn asked for by again(). */
  onTurn(): void;
  /** An exception of onEvents or onTurn. */
  onThrown(error: unknown): void;
}

// struct epoll_event is packed on x86-64 only.
const packed = process.arch === "x64";
const eventWords = packed ? 3 : 4;
const dataWord = packed ? 1 : 2;
const eventsMax = 512;
/** Bun's turn comes at least so often while there is no end of work here. */
const turnMs = 4;
/**
 * How long we wait without looking after Bun's timers, of which we do not know when they are due: after some work
 * shortly, then twice as long each time nothing came, up to the maximum (50 looks a second, 10 µs each).
 */
const waitMinMs = 1;
const waitMaxMs = 20;

export class Reactor {
  readonly calls: Calls;
  private readonly errnoAddress: Pointer;
  private readonly epoll: number;
  private readonly bunLoop: number;
  private readonly pollables: (Pollable | null)[] = [];
  private readonly events = new Int32Array(new ArrayBuffer(4 * 4 * eventsMax));
  private readonly eventsAddress: number;
  private readonly event = new Int32Array(new ArrayBuffer(16));
  private readonly eventAddress: number;
  /** Those that want a turn without an event. */
  private ready: Pollable[] = [];
  private spare: Pollable[] = [];
  private registered = 0;
  private generations = 0;
  private scheduled = false;
  private waitMs = waitMinMs;
  /** Those that wait for nextTurn(): Bun has work that its descriptor does not tell of. */
  private others = 0;
  private readonly turn: () => void;

  constructor(calls: Calls, errnoAddress: Pointer, epoll: number, bunLoop: number) {
    this.calls = calls;
    this.errnoAddress = errnoAddress;
    this.epoll = epoll;
    this.bunLoop = bunLoop;
    this.eventsAddress = ptr(this.events);
    this.eventAddress = ptr(this.event);
    this.turn = () => this.run();
    if (this.control(EPOLL_CTL_ADD, bunLoop, EPOLLIN, 0) < 0) throw new Error("Bun's loop cannot be watched");
  }

  /** The error number of the last failed call. */
  errno(): number {
    return read.i32(this.errnoAddress, 0);
  }

  /** Watches a descriptor until it is closed or unregistered. False if the kernel refused. */
  register(fd: number, pollable: Pollable, mask: number): boolean {
    pollable.generation = this.generations = (this.generations + 1) & 0x7fffffff;
    if (this.control(EPOLL_CTL_ADD, fd, mask, pollable.generation) < 0) return false;
    while (this.pollables.length <= fd) this.pollables.push(null);
    this.pollables[fd] = pollable;
    this.registered++;
    this.schedule();
    return true;
  }

  /** Before close(fd). shared = another process has the same open file, which would keep the registration alive. */
  unregister(fd: number, shared: boolean): void {
    if (shared) this.control(EPOLL_CTL_DEL, fd, 0, 0);
    this.pollables[fd] = null;
    this.registered--;
  }

  /** Asks for onTurn() in the next turn. */
  again(pollable: Pollable): void {
    if (pollable.waiting) return;
    pollable.waiting = true;
    this.ready.push(pollable);
    this.schedule();
  }

  /** Calls back in Bun's next turn, which does not wait for anything to happen here. */
  nextTurn(callback: () => void): void {
    this.others++;
    setImmediate(() => {
      this.others--;
      callback();
    });
  }

  private control(operation: number, fd: number, mask: number, generation: number): number {
    this.event[0] = mask;
    this.event[dataWord] = fd;
    this.event[dataWord + 1] = generation;
    return this.calls.epoll_ctl(this.epoll, operation, fd, this.eventAddress);
  }

  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    setImmediate(this.turn);
  }

  /** Works until Bun should have its turn. Waits in the kernel only right after Bun had one. */
  private run(): void {
    this.scheduled = false;
    let bunHadItsTurn = true;
    const until = performance.now() + turnMs;
    while (this.registered > 0 || this.ready.length > 0) {
      const wait = bunHadItsTurn && this.ready.length === 0 && this.others === 0 ? this.waitMs : 0;
      const count = this.calls.epoll_wait(this.epoll, this.eventsAddress, eventsMax, wait);
      const worked = count > 0 || this.ready.length > 0;
      if (worked) this.waitMs = waitMinMs;
      else if (wait > 0) this.waitMs = Math.min(waitMaxMs, this.waitMs * 2);
      const bunHasWork = this.dispatch(count);
      this.runReady();
      drainMicrotasks();
      if (bunHasWork || !worked || performance.now() >= until) {
        this.schedule();
        return;
      }
      bunHadItsTurn = false;
    }
  }

  /** True if Bun's loop has something to do. */
  private dispatch(count: number): boolean {
    const { events, pollables } = this;
    let bunHasWork = false;
    for (let i = 0, at = 0; i < count; i++, at += eventWords) {
      const fd = events[at + dataWord]!;
      const pollable = pollables[fd];
      if (pollable === null || pollable === undefined) {
        if (fd === this.bunLoop) bunHasWork = true;
      } else if (pollable.generation === events[at + dataWord + 1]) {
        try {
          pollable.onEvents(events[at]!);
        } catch (error) {
          thrown(pollable, error);
        }
      }
    }
    return bunHasWork;
  }

  private runReady(): void {
    const list = this.ready;
    if (list.length === 0) return;
    this.ready = this.spare;
    for (const pollable of list) {
      pollable.waiting = false;
      try {
        pollable.onTurn();
      } catch (error) {
        thrown(pollable, error);
      }
    }
    list.length = 0;
    this.spare = list;
  }
}

/** The events of the others in this turn come once: whatever is thrown, they are told. */
function thrown(pollable: Pollable, error: unknown): void {
  try {
    pollable.onThrown(error);
  } catch (worse) {
    queueMicrotask(() => {
      throw worse;
    });
  }
}

/**
 * The descriptor of the epoll that Bun's main loop waits on: the one that watches a listener we make. -1 = not found.
 */
function findBunLoop(): number {
  // Abstract names are shared by all containers of one network namespace, where process ids repeat.
  const listener = listenOnUnix(`\0sluice-loop-${process.pid}-${Math.random()}`);
  try {
    for (const name of readdirSync("/proc/self/fd")) {
      let isEpoll = false;
      try {
        isEpoll = readlinkSync(`/proc/self/fd/${name}`) === "anon_inode:[eventpoll]";
      } catch {
        continue; // the descriptor of the listing itself
      }
      if (!isEpoll) continue;
      const watched = readFileSync(`/proc/self/fdinfo/${name}`, "latin1");
      if (new RegExp(`^tfd: +${listener.fd} `, "m").test(watched)) return Number(name);
    }
  } finally {
    listener.stop();
  }
  return -1;
}

function create(): Reactor | null {
  if (!isLinux) return null;
  for (const name of platform.libraries) {
    try {
      const calls = dlopen(name, symbols).symbols as unknown as Calls;
      const errnoSymbol = dlopen(name, { [platform.errnoSymbol]: { args: [], returns: pointer } }).symbols;
      const errnoAddress = errnoSymbol[platform.errnoSymbol]!() as Pointer | null;
      if (errnoAddress === null) continue;
      const bunLoop = findBunLoop();
      const epoll = bunLoop < 0 ? -1 : calls.epoll_create1(EPOLL_CLOEXEC);
      return epoll < 0 ? null : new Reactor(calls, errnoAddress, epoll, bunLoop);
    } catch {
      // Not this name; the next one, or none.
    }
  }
  return null;
}

let shared: Reactor | null | undefined;

/** This process's reactor, made at the first call; null where there is none to be had. */
export function reactor(): Reactor | null {
  if (shared === undefined) shared = create();
  return shared;
}

/** Resolves in the next turn of the event loop, whatever drives it. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    if (shared === undefined || shared === null) setImmediate(resolve);
    else shared.nextTurn(resolve);
  });
}
