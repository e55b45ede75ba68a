// Whether a client keeps the least rates of its route (minRate): in sending a request's body while we are ready for it,
// and in taking a response that waits for it. Only for exchanges whose route asks for it. What counts as too slow is
// limit/min-rate.ts; whose turn it is, the exchange says.

import type { Failure } from "../base/failure.ts";
import { MinRate } from "../limit/min-rate.ts";
import type { MinRateConfig } from "../model/route-config.ts";
import { Deadline } from "./deadlines.ts";
import type { Exchange } from "./exchange.ts";
import { readerTooSlow, senderTooSlow } from "./refusals.ts";

export class ClientPace {
  private readonly exchange: Exchange;
  private readonly request = new MinRate();
  private readonly response = new MinRate();
  /** A body is coming that has to come at a rate. */
  private measuresRequest = false;
  private measuresResponse = false;
  /** The client waits for "100 Continue". */
  private expects = false;
  /** Something waits for the client, and what it had taken when last we looked. */
  private blocks = false;
  private takenBefore = 0;

  constructor(exchange: Exchange) {
    this.exchange = exchange;
  }

  /** A request begins. expects: its body comes only when it is asked for. */
  begin(rate: MinRateConfig, hasBody: boolean, expects: boolean): void {
    this.request.begin(rate.request, rate.graceMs);
    this.response.begin(rate.response, rate.graceMs);
    this.measuresRequest = hasBody && rate.request !== 0;
    this.measuresResponse = rate.response !== 0;
    this.expects = expects;
    this.blocks = false;
    this.onRead();
  }

  // ---- the request's body

  /** It is read from now on. */
  onRead(): void {
    if (!this.measuresRequest || this.expects) return;
    this.request.wait(this.nowMs);
    this.arm();
  }

  /** The client is held back. */
  onHold(): void {
    if (this.measuresRequest) this.request.hold(this.nowMs);
  }

  /** So many bytes of it have come. */
  onReceived(bytes: number, last: boolean): void {
    if (!this.measuresRequest) return;
    this.request.note(bytes, this.nowMs);
    if (last) {
      this.request.hold(this.nowMs);
      this.measuresRequest = false;
    } else if (this.expects) this.onInvited(); // it did not wait
  }

  /** The client has been told to send it. */
  onInvited(): void {
    this.expects = false;
    this.onRead();
  }

  // ---- the response

  /** The client has not taken all of what was sent. */
  onBlocked(): void {
    if (!this.measuresResponse || this.blocks) return;
    this.blocks = true;
    this.takenBefore = this.taken;
    this.response.wait(this.nowMs);
    this.arm();
  }

  /** The kernel has all of it, and there may be more. */
  onFlushed(): void {
    if (!this.blocks) return;
    this.noteTaken();
    this.blocks = false;
    this.response.hold(this.nowMs);
  }

  // ---- the judgement

  /** The deadline has come: what the client is too slow for, or 0. */
  judge(): Failure {
    const { nowMs } = this;
    if (this.blocks) this.noteTaken();
    if (this.request.tooSlow(nowMs)) return senderTooSlow;
    if (this.response.tooSlow(nowMs)) return readerTooSlow;
    this.arm();
    return 0;
  }

  private get nowMs(): number {
    return this.exchange.listener.clock.cachedMs;
  }

  /** What has arrived at the client; what the kernel holds for it, perhaps megabytes, has not. */
  private get taken(): number {
    const { bytesOut, connection } = this.exchange.client!;
    return bytesOut - Math.max(0, connection.unsent());
  }

  private noteTaken(): void {
    const { taken } = this;
    this.response.note(Math.max(0, taken - this.takenBefore), this.nowMs);
    this.takenBefore = taken;
  }

  private arm(): void {
    const at = Math.min(this.request.deadlineMs(), this.response.deadlineMs());
    if (at !== Infinity) this.exchange.deadlines.set(Deadline.Pace, at, this.exchange.listener.timers);
  }
}
