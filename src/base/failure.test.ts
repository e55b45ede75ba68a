// The table of failures: total, consistent, and written down here a second time, so that no decision changes unseen.

import { expect, test } from "bun:test";
import {
  causeOf,
  causeWord,
  failure,
  FailureCause,
  formatTermination,
  Phase,
  phaseOf,
  ruleOf,
  Side,
  sideOf,
  wasReused,
} from "./failure.ts";

const sides = Object.values(Side);
const phases = Object.values(Phase);
const causes = Object.values(FailureCause);

test("packing and unpacking are inverse, and no two failures are equal", () => {
  const seen = new Set<number>();
  for (const side of sides) {
    for (const phase of phases) {
      for (const cause of causes) {
        for (const reused of [false, true]) {
          const f = failure(side, phase, cause, reused);
          expect([sideOf(f), phaseOf(f), causeOf(f), wasReused(f)]).toEqual([side, phase, cause, reused]);
          seen.add(f);
        }
      }
    }
  }
  expect(seen.size).toBe(sides.length * phases.length * causes.length * 2);
  expect(failure(Side.None, Phase.None, FailureCause.None)).toBe(0);
});

test("total: every number of 17 bits has a rule that makes sense, a code and a word", () => {
  const statuses = [0, 400, 403, 408, 413, 414, 417, 429, 431, 500, 501, 502, 503, 504, 505];
  for (let f = 0; f < 1 << 17; f++) {
    const rule = ruleOf(f);
    if (!statuses.includes(rule.status)) throw new Error(`${f}: status ${rule.status}`);
    if (!["never", "reused", "idempotent", "always"].includes(rule.retry)) throw new Error(`${f}: ${rule.retry}`);
    if (sideOf(f) !== Side.Endpoint && (rule.blamesEndpoint || rule.retry !== "never")) {
      throw new Error(`${f}: blamed on the endpoint, or retried, though it is not the endpoint's`);
    }
    if (rule.retry === "reused" && (!wasReused(f) || rule.blamesEndpoint)) throw new Error(`${f}: not a race`);
    if (rule.retry === "always" && phaseOf(f) !== Phase.Connect) throw new Error(`${f}: something may have been sent`);
    if (rule.retry !== "never" && phaseOf(f) >= Phase.ResponseBody) throw new Error(`${f}: an answer had begun`);
    if (!/^[-cpsCPS][-RDQCHLT]$/.test(formatTermination(f))) throw new Error(`${f}: ${formatTermination(f)}`);
    if (causeWord(f) === "") throw new Error(`${f}: no word`);
    if (ruleOf(f) !== rule) throw new Error(`${f}: not the same rule again`);
  }
});

test("no failure: no status, no blame, no retry", () => {
  expect(ruleOf(0)).toEqual({ status: 0, blamesEndpoint: false, retry: "never" });
  expect(formatTermination(0)).toBe("--");
  expect(causeWord(0)).toBe("none");
});

/** Status, B if the endpoint is blamed, and the retry rule, of an endpoint's failure. */
function row(phase: Phase, cause: FailureCause, reused = false): string {
  const rule = ruleOf(failure(Side.Endpoint, phase, cause, reused));
  return `${rule.status}${rule.blamesEndpoint ? " B " : " - "}${rule.retry}`;
}

test.each([
  [Phase.Connect, FailureCause.Refused, "502 B always", "502 B always"],
  [Phase.Connect, FailureCause.Reset, "502 B always", "502 B always"],
  [Phase.Connect, FailureCause.Timeout, "504 B always", "504 B always"],
  [Phase.Connect, FailureCause.Resources, "503 - never", "503 - never"],
  [Phase.RequestBody, FailureCause.Reset, "502 B idempotent", "502 - reused"],
  [Phase.RequestBody, FailureCause.Timeout, "504 B idempotent", "504 B idempotent"],
  [Phase.ResponseHead, FailureCause.Reset, "502 B idempotent", "502 - reused"],
  [Phase.ResponseHead, FailureCause.Timeout, "504 B idempotent", "504 B idempotent"],
  [Phase.ResponseHead, FailureCause.Protocol, "502 B never", "502 B never"],
  [Phase.ResponseHead, FailureCause.TooLarge, "502 B never", "502 B never"],
  [Phase.ResponseBody, FailureCause.Reset, "502 B never", "502 B never"],
  [Phase.ResponseBody, FailureCause.Timeout, "504 B never", "504 B never"],
  [Phase.ResponseBody, FailureCause.Protocol, "502 B never", "502 B never"],
  [Phase.Tunnel, FailureCause.Reset, "502 B never", "502 B never"],
] as const)("endpoint, phase %p, cause %p", (phase, cause, fresh, reused) => {
  expect(row(phase, cause)).toBe(fresh);
  expect(row(phase, cause, true)).toBe(reused);
});

test.each([
  [FailureCause.Refused, 0],
  [FailureCause.Reset, 0],
  [FailureCause.Timeout, 408],
  [FailureCause.Protocol, 400],
  [FailureCause.TooLarge, 431],
  [FailureCause.UriTooLong, 414],
  [FailureCause.BodyTooLarge, 413],
  [FailureCause.Unsupported, 501],
  [FailureCause.Expectation, 417],
  [FailureCause.Version, 505],
] as const)("client, cause %p: status %p in every phase, never the endpoint's fault", (cause, status) => {
  for (const phase of phases) {
    expect(ruleOf(failure(Side.Client, phase, cause))).toEqual({ status, blamesEndpoint: false, retry: "never" });
  }
});

test.each([
  [Phase.Queue, FailureCause.Full, 503],
  [Phase.Queue, FailureCause.Timeout, 503],
  [Phase.Queue, FailureCause.NoEndpoint, 503],
  [Phase.Queue, FailureCause.Drain, 503],
  [Phase.ResponseHead, FailureCause.Timeout, 504],
  [Phase.RequestHead, FailureCause.Resources, 503],
  [Phase.ResponseBody, FailureCause.Internal, 500],
] as const)("proxy, phase %p, cause %p: status %p", (phase, cause, status) => {
  expect(ruleOf(failure(Side.Proxy, phase, cause)).status).toBe(status);
});

test.each([
  [failure(Side.Client, Phase.RequestHead, FailureCause.Timeout), "cR", "timeout"],
  [failure(Side.Client, Phase.RequestBody, FailureCause.Reset), "CD", "reset"],
  [failure(Side.Client, Phase.ResponseBody, FailureCause.Reset), "CL", "reset"],
  [failure(Side.Proxy, Phase.Queue, FailureCause.Full), "PQ", "full"],
  [failure(Side.Proxy, Phase.Queue, FailureCause.Timeout), "pQ", "timeout"],
  [failure(Side.Endpoint, Phase.Connect, FailureCause.Refused), "SC", "refused"],
  [failure(Side.Endpoint, Phase.Connect, FailureCause.Timeout), "sC", "timeout"],
  [failure(Side.Endpoint, Phase.ResponseHead, FailureCause.Protocol), "SH", "protocol"],
  [failure(Side.Endpoint, Phase.Tunnel, FailureCause.Timeout), "sT", "timeout"],
])("failure %p is logged as %p, %p", (f, code, word) => {
  expect(formatTermination(f)).toBe(code);
  expect(causeWord(f)).toBe(word);
});
