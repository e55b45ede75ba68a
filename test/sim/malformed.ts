// A client that sends what must not be taken for a request, with a second request hidden behind it. It has to get one
// error of the proxy's own and the end of its connection, and no endpoint may ever see either of the two.

import type { Cause, ConnectionEvents } from "../../src/base/ports.ts";
import { latin1 } from "../../src/wire/h1/tables.ts";
import { type BodyRule, MessageReader, type MessageSink, type SimHead, valuesOf } from "./message-reader.ts";
import { bytesStep, Sender } from "./sender.ts";
import type { SimSocket } from "./sim-socket.ts";
import type { World } from "./world.ts";

interface Case {
  readonly name: string;
  readonly statuses: readonly number[];
  /** own = the line that names the request. */
  readonly text: (own: string) => string;
}

const post = "POST / HTTP/1.1\r\nHost: a\r\n";
const get = "GET / HTTP/1.1\r\n";
const cases: readonly Case[] = [
  {
    name: "length and coding",
    statuses: [400],
    text: (own) => `${post}${own}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n`,
  },
  {
    name: "two lengths",
    statuses: [400],
    text: (own) => `${post}${own}Content-Length: 0\r\nContent-Length: 5\r\n\r\n`,
  },
  { name: "list of lengths", statuses: [400], text: (own) => `${post}${own}Content-Length: 0, 0\r\n\r\n` },
  { name: "signed length", statuses: [400], text: (own) => `${post}${own}Content-Length: +0\r\n\r\n` },
  {
    name: "other coding",
    statuses: [400, 501],
    text: (own) => `${post}${own}Transfer-Encoding: gzip, chunked\r\n\r\n`,
  },
  { name: "quoted coding", statuses: [400, 501], text: (own) => `${post}${own}Transfer-Encoding: "chunked"\r\n\r\n` },
  {
    name: "chunked in 1.0",
    statuses: [400],
    text: (own) => `POST / HTTP/1.0\r\n${own}Transfer-Encoding: chunked\r\n\r\n`,
  },
  { name: "bare LF", statuses: [400], text: (own) => `GET / HTTP/1.1\nHost: a\r\n${own}\r\n` },
  { name: "LF in field", statuses: [400], text: (own) => `${get}Host: a\nX: y\r\n${own}\r\n` },
  { name: "bare CR", statuses: [400], text: (own) => `${get}Host: a\r\nX: a\rb\r\n${own}\r\n` },
  { name: "folded line", statuses: [400], text: (own) => `${get}Host: a\r\nX: a\r\n b\r\n${own}\r\n` },
  { name: "space before colon", statuses: [400], text: (own) => `${get}Host: a\r\nContent-Length : 5\r\n${own}\r\n` },
  { name: "no host", statuses: [400], text: (own) => `${get}${own}\r\n` },
  { name: "two hosts", statuses: [400], text: (own) => `${get}Host: a\r\nHost: b\r\n${own}\r\n` },
  { name: "NUL", statuses: [400], text: (own) => `${get}Host: a\r\nX: a\0b\r\n${own}\r\n` },
  { name: "HTTP/2.0", statuses: [505, 400], text: (own) => `GET / HTTP/2.0\r\nHost: a\r\n${own}\r\n` },
  { name: "CONNECT", statuses: [501, 400, 405], text: (own) => `CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n${own}\r\n` },
  { name: "relative target", statuses: [400], text: (own) => `GET a HTTP/1.1\r\nHost: a\r\n${own}\r\n` },
  { name: "user in target", statuses: [400], text: (own) => `GET http://u@a/ HTTP/1.1\r\nHost: a\r\n${own}\r\n` },
  { name: "long head", statuses: [431], text: (own) => `${get}Host: a\r\n${own}X: ${"x".repeat(17_000)}\r\n\r\n` },
  { name: "many fields", statuses: [431], text: (own) => `${get}Host: a\r\n${own}${"X: y\r\n".repeat(70)}\r\n` },
  { name: "expectation", statuses: [417], text: (own) => `${get}Host: a\r\n${own}Expect: miracles\r\n\r\n` },
];

export class MalformedClient implements ConnectionEvents, MessageSink {
  private readonly world: World;
  private readonly socket: SimSocket;
  private readonly sender: Sender;
  private readonly reader: MessageReader;
  private readonly chosen: Case;
  private readonly bytes: Uint8Array;
  private status = 0;
  private over = false;

  constructor(world: World, listener: string) {
    const { dice, ledger } = world;
    this.world = world;
    this.chosen = dice.pick(cases);
    const first = world.nextId();
    const hidden = world.nextId();
    ledger.forbid(first);
    ledger.forbid(hidden);
    const behind = dice.chance(0.7) ? `GET /hidden HTTP/1.1\r\nHost: a\r\nX-Sim-Id: ${hidden}\r\n\r\n` : "";
    this.bytes = latin1(this.chosen.text(`X-Sim-Id: ${first}\r\n`) + behind);
    this.socket = world.kernel.dial(world.layout.portOf(listener), "192.0.2.66", this);
    this.sender = new Sender(world.agenda, this.socket);
    this.reader = new MessageReader("response", this);
    this.listener = listener;
  }

  private readonly listener: string;

  onOpen(): void {
    const { dice, weather } = this.world;
    const cut = dice.whole(0, this.bytes.length);
    this.sender.push(
      bytesStep(this.bytes.subarray(0, cut)),
      { kind: "wait", ms: dice.chance(0.5) ? dice.real(0, weather.deadlines.requestHeadMs * 0.3) : 0 },
      bytesStep(this.bytes.subarray(cut)),
    );
  }

  onData(bytes: Uint8Array): void {
    this.reader.feed(bytes);
  }

  onHead(head: SimHead, framing: BodyRule): BodyRule {
    const { trace } = this.world;
    const status = Number(head.startLine.slice(9, 12));
    const { name, statuses } = this.chosen;
    if (this.status !== 0) trace.fail("malformed", `${name}: a second response, ${status}`);
    if (!statuses.includes(status)) trace.fail("malformed", `${name}: ${status}`);
    if (valuesOf(head.lines, "connection").join() !== "close") trace.fail("malformed", `${name}: does not say close`);
    this.status = status;
    return framing;
  }

  onBody(): void {}
  onEnd(): void {}
  onTunnel(): void {}

  onError(message: string): void {
    this.world.trace.fail("malformed", `${this.chosen.name}: ${message}`);
  }

  onDrain(): void {
    this.sender.run();
  }

  onFinish(): void {
    this.end();
    this.socket.close();
  }

  onClose(_cause: Cause): void {
    this.end();
  }

  private end(): void {
    if (this.over) return;
    this.over = true;
    this.sender.stop();
    if (this.status === 0 && !this.world.isClosing(this.listener) && this.sender.sent === this.bytes.length) {
      this.world.trace.fail("malformed", `${this.chosen.name}: no answer`);
    }
  }
}
