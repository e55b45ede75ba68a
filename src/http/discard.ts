// Reads and drops the rest of an endpoint's answer that nobody wants, because the request is being repeated elsewhere:
// short answers cost no connection so. Long ones do, for reading on would cost more than a new connection; so do those
// to requests that are not out yet, of which nothing more must be sent.

import type { Failure } from "../base/failure.ts";
import { failure, FailureCause, Phase, Side } from "../base/failure.ts";
import { discardedAnswerBytesMax } from "../base/limits.ts";
import type { H1Client } from "../codec/h1-client.ts";
import type { UpstreamSink } from "../codec/stream.ts";
import type { KeepAliveConfig } from "../model/config.ts";
import type { Connector } from "../pool/connector.ts";
import { EC } from "../stats/columns.ts";

const unwanted = failure(Side.Proxy, Phase.ResponseBody, FailureCause.None);

class Discard implements UpstreamSink {
  private readonly upstream: H1Client;
  private readonly connector: Connector;
  private readonly keepAlive: KeepAliveConfig;
  private bytesInBefore: number;
  private left = discardedAnswerBytesMax;

  constructor(upstream: H1Client, connector: Connector, keepAlive: KeepAliveConfig) {
    this.upstream = upstream;
    this.connector = connector;
    this.keepAlive = keepAlive;
    this.bytesInBefore = upstream.bytesIn;
  }

  onReady(): void {
    // connected it is
  }
  onHead(): void {
    // a final head has been here, and another does not come
  }
  onData(_bytes: Uint8Array, start: number, end: number, last: boolean): void {
    this.left -= end - start;
    if (last) this.end();
    else if (this.left < 0) {
      this.count();
      this.upstream.reset(unwanted);
    }
  }
  onMoved(): void {
    // nothing is forwarded
  }
  onTrailers(): void {
    this.end();
  }
  onDrain(): void {
    // no more of the request is sent
  }
  onReset(_f: Failure): void {
    this.count();
  }

  private end(): void {
    this.count();
    this.connector.give(this.upstream, this.keepAlive);
  }

  private count(): void {
    this.connector.countersOf(this.upstream.member)[EC.bytesReceived]! += this.upstream.bytesIn - this.bytesInBefore;
    this.bytesInBefore = this.upstream.bytesIn;
  }
}

/**
 * Takes over a stream whose final response head has come, at the moment it came; last = with it the response has ended.
 * The caller has counted what came so far, and forgets the stream.
 */
export function discardAnswer(
  upstream: H1Client,
  connector: Connector,
  keepAlive: KeepAliveConfig,
  last: boolean,
): void {
  if (last) {
    connector.give(upstream, keepAlive);
    return;
  }
  if (!upstream.mayBeKept) {
    upstream.reset(unwanted);
    return;
  }
  upstream.sink = new Discard(upstream, connector, keepAlive);
  upstream.resume();
}
