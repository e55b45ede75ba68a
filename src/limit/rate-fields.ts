// The header fields that tell a client of a rate limit: Retry-After (RFC 9110 10.2.3), RateLimit-Policy and RateLimit
// (draft-ietf-httpapi-ratelimit-headers-09), and the fields of the draft's sixth version, RateLimit-Limit, -Remaining
// and -Reset, which is what most clients read. What never changes is made once.

import type { Scratch } from "../base/bytes.ts";
import type { RateLimitConfig } from "../model/route-config.ts";
import type { RateLimit } from "./rate-limit.ts";

export class RateFields {
  /** From RateLimit-Policy to the remaining requests of RateLimit. */
  private readonly policy: string;
  private readonly limit: string;

  constructor(config: RateLimitConfig) {
    const name = config.by.from;
    const [quota, seconds] = wholeSeconds(config.requests, config.perMs);
    this.policy = `RateLimit-Policy: "${name}";q=${quota};w=${seconds}\r\nRateLimit: "${name}";r=`;
    this.limit = `RateLimit-Limit: ${config.burst}\r\nRateLimit-Remaining: `;
  }

  /** Appends whole field lines that say what the limit's last check() found; waitMs is what it returned. */
  put(out: Scratch, limit: RateLimit, waitMs: number): void {
    const reset = Math.ceil(limit.resetMs / 1000);
    if (waitMs > 0) {
      out.putText("Retry-After: ");
      out.putDecimal(Math.ceil(waitMs / 1000));
      out.putText("\r\n");
    }
    out.putText(this.policy);
    out.putDecimal(limit.remaining);
    out.putText(";t=");
    out.putDecimal(reset);
    out.putText("\r\n");
    out.putText(this.limit);
    out.putDecimal(limit.remaining);
    out.putText("\r\nRateLimit-Reset: ");
    out.putDecimal(reset);
    out.putText("\r\n");
  }
}

/** The same rate over whole seconds: the draft's window has no other unit. */
function wholeSeconds(requests: number, perMs: number): readonly [quota: number, seconds: number] {
  let divisor = 1000;
  for (let rest = perMs % 1000; rest !== 0;) [divisor, rest] = [rest, divisor % rest];
  const times = 1000 / divisor;
  return [requests * times, (perMs * times) / 1000];
}
