// A network that leads nowhere: one client who says one request, endpoints that accept every connection and answer
// every request with the same response. Everything that is said is kept. Nothing waits; run() goes on until nobody has
// anything more to say.

import { latin1Text, Scratch } from "../base/bytes.ts";
import { Cause, type Connection, type ConnectionEvents, type Listening, type Net } from "../base/ports.ts";
import { NOTHING_MOVED, RECEIVE_MAX, type Target } from "../base/ports.ts";
import type { Passwords } from "../http/password-desk.ts";

/** Steps of one run; a request takes a dozen. */
const STEPS_MAX = 1000;
const headEnd = "\r\n\r\n";

const nobody: ConnectionEvents = { onOpen() {}, onData() {}, onDrain() {}, onFinish() {}, onClose() {} };

/** Takes everything at once, and keeps it. */
class DryConnection implements Connection {
  events: ConnectionEvents = nobody;
  readonly remoteAddress: string;
  readonly remotePort = 0;
  isOpen: boolean;
  receiveMax = RECEIVE_MAX;
  readonly written = new Scratch(1024);
  private readonly onWrite: (connection: DryConnection) => void;

  constructor(remoteAddress: string, isOpen: boolean, onWrite: (connection: DryConnection) => void) {
    this.remoteAddress = remoteAddress;
    this.isOpen = isOpen;
    this.onWrite = onWrite;
  }

  write(bytes: Uint8Array, start: number, end: number): number {
    if (!this.isOpen) return -1;
    this.written.put(bytes, start, end);
    this.onWrite(this);
    return end - start;
  }

  read(): number {
    return 0;
  }

  moveTo(): typeof NOTHING_MOVED {
    return NOTHING_MOVED;
  }

  unsent(): number {
    return -1;
  }

  pause(): void {}

  resume(): void {}

  finish(): void {}

  close(): void {
    this.end(Cause.None);
  }

  abort(): void {
    this.end(Cause.Aborted);
  }

  end(cause: Cause): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.events.onClose(cause);
  }
}

export class DryNet implements Net {
  private readonly answer: Uint8Array;
  private readonly endpoints: DryConnection[] = [];
  private accept: ((connection: Connection) => ConnectionEvents) | null = null;
  private client: DryConnection | null = null;
  private readonly later: (() => void)[] = [];

  /** answer = what endpoints say to every request: a whole response without a body. */
  constructor(answer: Uint8Array) {
    this.answer = answer;
  }

  adopt(_fd: number, port: number, accept: (connection: Connection) => ConnectionEvents): Listening {
    this.accept = accept;
    return { port, pause() {}, resume() {}, close() {} };
  }

  connect(target: Target, events: ConnectionEvents): Connection {
    let answered = false;
    const connection = new DryConnection(target.ip, false, ({ written }) => {
      if (answered || !latin1Text(written.bytes, 0, written.length).includes(headEnd)) return;
      answered = true;
      this.later.push(() => connection.events.onData(this.answer.slice()));
    });
    connection.events = events;
    this.endpoints.push(connection);
    this.later.push(() => {
      connection.isOpen = true;
      connection.events.onOpen();
    });
    return connection;
  }

  /** Passwords of users that exist are right; the answer comes later, as it does in earnest. */
  passwords(): Passwords {
    const seed = { k0: 1, k1: 2 };
    return {
      seeds: [seed, seed],
      isFull: false,
      compare: (_password, _hash, done) => void this.later.push(() => done(true)),
    };
  }

  /** The client connects from this address and sends the bytes. False if it is turned away. */
  say(bytes: Uint8Array, source: string): boolean {
    const client = new DryConnection(source, true, () => {});
    this.client = client;
    client.events = this.accept!(client);
    if (!client.isOpen) return false;
    client.events.onData(bytes);
    for (let steps = 0; this.later.length > 0; steps++) {
      if (steps === STEPS_MAX) throw new Error("a request that never ends");
      this.later.shift()!();
    }
    return true;
  }

  /** What the client has got so far. */
  get got(): Uint8Array {
    const { bytes, length } = this.client!.written;
    return bytes.subarray(0, length);
  }

  /** What endpoints have got so far, each connection for itself; those that nothing was said on are left out. */
  get sent(): readonly Uint8Array[] {
    return this.endpoints
      .filter(({ written }) => written.length > 0)
      .map(({ written }) => written.bytes.subarray(0, written.length));
  }

  /** The client goes away. */
  hangUp(): void {
    this.client!.end(Cause.Reset);
  }
}
