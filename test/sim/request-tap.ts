// Listens to what the proxy sends to one endpoint, as it is accepted by the network: every head that goes out counts,
// also when nobody is left to read it.

import { Attempts } from "../../src/http/attempts.ts";
import { type BodyRule, MessageReader, type MessageSink, type SimHead, valuesOf } from "./message-reader.ts";
import type { SimSocket } from "./sim-socket.ts";

export class RequestTap implements MessageSink {
  private readonly reader: MessageReader;
  private readonly onRequest: (id: number, reused: boolean) => void;
  /** Whole heads so far, and the id of the last. */
  requests = 0;
  lastId = 0;

  constructor(onRequest: (id: number, reused: boolean) => void) {
    this.onRequest = onRequest;
    this.reader = new MessageReader("request", this);
  }

  feed(bytes: Uint8Array): void {
    this.reader.feed(bytes);
  }

  /** A head has begun to go out and is not whole. */
  get isWithinHead(): boolean {
    return this.reader.isWithinHead;
  }

  onHead(head: SimHead, framing: BodyRule): BodyRule {
    this.lastId = Number(valuesOf(head.lines, "x-sim-id")[0] ?? "0");
    this.onRequest(this.lastId, this.requests++ > 0);
    return framing;
  }

  onBody(): void {}

  onEnd(): void {}
  onTunnel(): void {}
  onError(): void {}
}

interface Kept {
  readonly kept: { readonly bytes: Uint8Array; readonly end: number };
}

/** The id of the request that an outgoing connection of the proxy is serving, as the proxy itself sees it; 0 = none. */
export function servedBy(socket: SimSocket): number {
  const { sink } = socket.events as { readonly sink?: unknown };
  if (!(sink instanceof Attempts)) return 0;
  // Its bytes, and not headAgain(): the proxy may be using what that returns.
  const { kept } = (sink as unknown as { readonly exchange: Kept }).exchange;
  const id = /^x-sim-id: (\d+)/im.exec(Buffer.from(kept.bytes).toString("latin1", 0, kept.end))?.[1];
  if (id === undefined) throw new Error("an exchange keeps its head in another way than the simulator thinks");
  return Number(id);
}
