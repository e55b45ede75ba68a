// What an exchange hears from its client: one object beside it, for the exchange itself is the endpoint's sink.

import type { Failure } from "../base/failure.ts";
import type { HttpStreamSink } from "../codec/stream.ts";
import type { Head } from "../wire/head.ts";
import type { Exchange } from "./exchange.ts";

export class RequestSide implements HttpStreamSink {
  private readonly exchange: Exchange;

  constructor(exchange: Exchange) {
    this.exchange = exchange;
  }
  onHead(): void {
    // a request has one head, and begin() got it
  }
  onData(bytes: Uint8Array, start: number, end: number, last: boolean): void {
    this.exchange.onClientData(bytes, start, end, last);
  }
  onMoved(count: number): void {
    this.exchange.onClientMoved(count);
  }
  onTrailers(head: Head): void {
    this.exchange.onClientTrailers(head);
  }
  onDrain(): void {
    this.exchange.onClientDrain();
  }
  onReset(f: Failure): void {
    this.exchange.abandon(f);
  }
}
