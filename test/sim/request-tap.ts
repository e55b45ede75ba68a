// Listens to what the proxy sends to one endpoint, as it is accepted by the network: every head that goes out counts,
// also when nobody is left to read it.

import { type BodyRule, MessageReader, type MessageSink, type SimHead, valuesOf } from "./message-reader.ts";
import type { SimSocket } from "./sim-socket.ts";

export class RequestTap implements MessageSink {
  private readonly reader: MessageReader;
  private readonly onRequest: (id: number) => void;

  constructor(onRequest: (id: number) => void) {
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
    this.onRequest(Number(valuesOf(head.lines, "x-sim-id")[0] ?? "0"));
    return framing;
  }

  onBody(): void {}

  onEnd(): void {}
  onTunnel(): void {}
  onError(): void {}
}

/** The id of the request that an outgoing connection of the proxy is serving, as the proxy itself sees it; 0 = none. */
export function servedBy(socket: SimSocket): number {
  const { sink } = socket.events as {
    readonly sink?: { readonly headBytes?: Uint8Array; readonly headStart?: number } | null;
  };
  if (!sink?.headBytes) return 0;
  const text = Buffer.from(sink.headBytes).toString("latin1", sink.headStart);
  return Number(/^x-sim-id: (\d+)/im.exec(text)?.[1] ?? "0");
}
