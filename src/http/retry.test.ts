// The verdict on every kind of failure, for safe and unsafe methods, first and second attempts.

import { describe, expect, test } from "bun:test";
import { failure, FailureCause, Phase, Side } from "../base/failure.ts";
import { retriesMax } from "../base/limits.ts";
import { defaultRetry } from "../model/defaults.ts";
import type { RetryConfig } from "../model/route-config.ts";
import { RetryBudget } from "../pool/retry-budget.ts";
import { PC, poolCounters } from "../stats/columns.ts";
import { BODY_CHUNKED, Method } from "../wire/head.ts";
import type { AttemptHistory, RetryPolicy } from "./retry.ts";
import { allowRetry, compileRetry, decideRetry, isIdempotent, replayBytes, Retry } from "./retry.ts";

const get = {
  method: Method.Get,
  bodyBegun: false,
  connectFailures: 0,
  repeats: 0,
  refreshed: false,
  nothingSent: false,
};
const post = { ...get, method: Method.Post };
const refused = failure(Side.Endpoint, Phase.Connect, FailureCause.Refused);
const reset = failure(Side.Endpoint, Phase.ResponseHead, FailureCause.Reset);
const raced = failure(Side.Endpoint, Phase.ResponseHead, FailureCause.Reset, true);
const slow = failure(Side.Endpoint, Phase.ResponseHead, FailureCause.Timeout);

describe("retry", () => {
  test("a failed connect moves on, whatever the method: nothing was sent", () => {
    expect(decideRetry(refused, post)).toBe(Retry.OtherEndpoint);
    expect(decideRetry(failure(Side.Endpoint, Phase.Connect, FailureCause.Timeout), post)).toBe(Retry.OtherEndpoint);
  });
  test("but not for ever", () => {
    expect(decideRetry(refused, { ...get, connectFailures: retriesMax - 1 })).toBe(Retry.OtherEndpoint);
    expect(decideRetry(refused, { ...get, connectFailures: retriesMax })).toBe(Retry.No);
  });
  test("and not when our own descriptors ran out", () => {
    expect(decideRetry(failure(Side.Endpoint, Phase.Connect, FailureCause.Resources), get)).toBe(Retry.No);
  });
  test("what may have been received is repeated once, if idempotent", () => {
    expect(decideRetry(reset, get)).toBe(Retry.OtherEndpoint);
    expect(decideRetry(slow, get)).toBe(Retry.OtherEndpoint);
    expect(decideRetry(raced, get)).toBe(Retry.FreshConnection);
    for (const f of [reset, slow, raced]) {
      expect(decideRetry(f, post)).toBe(Retry.No);
      expect(decideRetry(f, { ...get, repeats: 1, refreshed: true })).toBe(Retry.No);
      expect(decideRetry(f, { ...get, bodyBegun: true })).toBe(Retry.No);
    }
  });
  test("a fresh connection does not use up the other endpoint: a dying server resets both", () => {
    expect(decideRetry(reset, { ...get, refreshed: true })).toBe(Retry.OtherEndpoint);
    expect(decideRetry(raced, { ...get, refreshed: true })).toBe(Retry.OtherEndpoint);
    expect(decideRetry(raced, { ...get, repeats: 1 })).toBe(Retry.FreshConnection);
  });
  test("a kept connection that took nothing is replaced, whatever the method, and costs no repeat", () => {
    expect(decideRetry(raced, { ...post, nothingSent: true })).toBe(Retry.FreshConnection);
    expect(decideRetry(raced, { ...get, repeats: 1, nothingSent: true })).toBe(Retry.FreshConnection);
    expect(decideRetry(raced, { ...post, nothingSent: true, bodyBegun: true })).toBe(Retry.No);
    expect(decideRetry(reset, { ...post, nothingSent: true })).toBe(Retry.No);
  });
  test("never after the response began, for a broken answer, or for a client's failure", () => {
    expect(decideRetry(failure(Side.Endpoint, Phase.ResponseBody, FailureCause.Reset), get)).toBe(Retry.No);
    expect(decideRetry(failure(Side.Endpoint, Phase.ResponseHead, FailureCause.Protocol), get)).toBe(Retry.No);
    expect(decideRetry(failure(Side.Client, Phase.RequestBody, FailureCause.Timeout), get)).toBe(Retry.No);
  });
  test("idempotent methods are those of RFC 9110 9.2.2", () => {
    const yes = [Method.Get, Method.Head, Method.Put, Method.Delete, Method.Options, Method.Trace];
    for (const method of Object.values(Method)) expect(isIdempotent(method)).toBe((yes as Method[]).includes(method));
  });
});

/** The default with changes. */
function policy(change: Partial<RetryConfig>): RetryPolicy {
  return compileRetry({ ...defaultRetry, ...change });
}

describe("a route's own words", () => {
  test("a status that is named is repeated elsewhere, where the method allows it", () => {
    const wants = policy({ on: [503, 429], attempts: 2 });
    const verdict = (status: number, history: AttemptHistory = get): Retry => decideRetry(0, history, wants, status);
    expect([verdict(503), verdict(429), verdict(502), verdict(200)]).toEqual([
      Retry.OtherEndpoint,
      Retry.OtherEndpoint,
      Retry.No,
      Retry.No,
    ]);
    expect(verdict(503, post)).toBe(Retry.No);
    expect(verdict(503, { ...get, repeats: 1 })).toBe(Retry.OtherEndpoint);
    expect(verdict(503, { ...get, repeats: 2 })).toBe(Retry.No); // the last answer is the client's
    expect(decideRetry(0, post, policy({ on: [503], nonIdempotent: true }), 503)).toBe(Retry.OtherEndpoint);
    expect(decideRetry(0, get, policy({}), 503)).toBe(Retry.No);
  });
  test("causes that are not named are not repeated, except that nothing was sent", () => {
    const onlyTimeout = policy({ on: ["timeout"] });
    expect(decideRetry(slow, get, onlyTimeout)).toBe(Retry.OtherEndpoint);
    expect(decideRetry(reset, get, onlyTimeout)).toBe(Retry.No);
    expect(decideRetry(raced, get, onlyTimeout)).toBe(Retry.No);
    expect(decideRetry(raced, { ...post, nothingSent: true }, onlyTimeout)).toBe(Retry.FreshConnection);
    const onlyReset = policy({ on: ["reset"] });
    expect(decideRetry(slow, get, onlyReset)).toBe(Retry.No);
    expect(decideRetry(reset, get, onlyReset)).toBe(Retry.OtherEndpoint);
    expect(decideRetry(refused, post, policy({ on: [503] }))).toBe(Retry.OtherEndpoint);
    expect(decideRetry(reset, get, policy({ on: [503] }))).toBe(Retry.No);
  });
  test("off is off, but for a kept connection that took nothing", () => {
    const off = policy({ attempts: 0, on: [] });
    for (const f of [refused, reset, slow, raced]) expect(decideRetry(f, get, off)).toBe(Retry.No);
    expect(decideRetry(0, get, off, 503)).toBe(Retry.No);
    expect(decideRetry(raced, { ...post, nothingSent: true }, off)).toBe(Retry.FreshConnection);
  });
  test("attempts: so many repeats, failed connects not counted, retriesMax in all", () => {
    const three = policy({ attempts: 3 });
    expect(decideRetry(reset, { ...get, repeats: 2, connectFailures: 4 }, three)).toBe(Retry.OtherEndpoint);
    expect(decideRetry(reset, { ...get, repeats: 3 }, three)).toBe(Retry.No);
    const many = policy({ attempts: 100 });
    expect(decideRetry(reset, { ...get, repeats: retriesMax - 1 }, many)).toBe(Retry.OtherEndpoint);
    expect(decideRetry(reset, { ...get, repeats: retriesMax - 2, connectFailures: 2 }, many)).toBe(Retry.No);
    const none = policy({ attempts: 0 });
    expect(decideRetry(raced, get, none)).toBe(Retry.No);
    expect(decideRetry(refused, get, none)).toBe(Retry.OtherEndpoint);
  });
  test("a body that can be sent again is no obstacle", () => {
    const put = { ...get, method: Method.Put, bodyBegun: true };
    expect(decideRetry(reset, put)).toBe(Retry.No);
    expect(decideRetry(reset, { ...put, canReplay: true })).toBe(Retry.OtherEndpoint);
    expect(decideRetry(refused, { ...put, canReplay: true })).toBe(Retry.OtherEndpoint);
    expect(decideRetry(refused, put)).toBe(Retry.No);
    const midBody = failure(Side.Endpoint, Phase.RequestBody, FailureCause.Reset);
    expect(decideRetry(midBody, { ...put, canReplay: true })).toBe(Retry.OtherEndpoint);
    expect(decideRetry(0, { ...put, canReplay: true }, policy({ on: [503] }), 503)).toBe(Retry.OtherEndpoint);
    expect(decideRetry(0, put, policy({ on: [503] }), 503)).toBe(Retry.No);
  });
  test("what is never repeated is not by any policy", () => {
    const all = policy({ on: ["connect", "refused", "reset", "timeout", 500, 502], attempts: 9, nonIdempotent: true });
    const never = [
      failure(Side.Endpoint, Phase.ResponseBody, FailureCause.Reset),
      failure(Side.Endpoint, Phase.ResponseHead, FailureCause.Protocol),
      failure(Side.Endpoint, Phase.Connect, FailureCause.Resources),
      failure(Side.Client, Phase.RequestBody, FailureCause.Reset),
      failure(Side.Proxy, Phase.Queue, FailureCause.Circuit),
      failure(Side.Proxy, Phase.ResponseHead, FailureCause.Timeout),
    ];
    for (const f of never) expect(decideRetry(f, get, all)).toBe(Retry.No);
    expect(decideRetry(reset, post, all)).toBe(Retry.OtherEndpoint);
  });
});

describe("the budget", () => {
  const wants = policy({ on: ["reset", 503], budgetPercent: 0, budgetMin: 0 });

  test("repeats are paid for, and refused without means; verdicts of No cost nothing", () => {
    const counters = new Float64Array(poolCounters.length);
    const budget = new RetryBudget(counters);
    expect(allowRetry(reset, 0, get, wants, budget, 1000)).toBe(Retry.No);
    expect(allowRetry(0, 503, get, wants, budget, 1000)).toBe(Retry.No);
    expect(counters[PC.retriesRefused]).toBe(2);
    const some = policy({ on: ["reset", 503], budgetPercent: 0, budgetMin: 1 });
    expect(allowRetry(reset, 0, get, some, budget, 1000)).toBe(Retry.OtherEndpoint);
    expect(allowRetry(raced, 0, get, some, budget, 1000)).toBe(Retry.FreshConnection);
    expect(allowRetry(0, 503, get, some, budget, 1000)).toBe(Retry.OtherEndpoint);
    expect(allowRetry(slow, 0, get, some, budget, 1000)).toBe(Retry.No);
    expect([counters[PC.repeats], counters[PC.retriesRefused]]).toEqual([3, 2]);
  });
  test("what nobody has seen is not", () => {
    const counters = new Float64Array(poolCounters.length);
    const budget = new RetryBudget(counters);
    expect(allowRetry(refused, 0, post, wants, budget, 1000)).toBe(Retry.OtherEndpoint);
    expect(allowRetry(raced, 0, { ...post, nothingSent: true }, wants, budget, 1000)).toBe(Retry.FreshConnection);
    expect([counters[PC.repeats], counters[PC.retriesRefused]]).toEqual([0, 0]);
  });
});

test("bodies are kept where they may be needed: of methods that are repeated, not larger than is kept", () => {
  const wants = policy({ bufferBytes: 1000 });
  expect(replayBytes(Method.Put, 1000, wants)).toBe(1000);
  expect(replayBytes(Method.Put, BODY_CHUNKED, wants)).toBe(1000);
  expect(replayBytes(Method.Put, 1001, wants)).toBe(0);
  expect(replayBytes(Method.Get, 0, wants)).toBe(0);
  expect(replayBytes(Method.Post, 10, wants)).toBe(0);
  expect(replayBytes(Method.Post, 10, policy({ nonIdempotent: true }))).toBe(defaultRetry.bufferBytes);
  expect(replayBytes(Method.Put, 10, policy({ attempts: 0 }))).toBe(0);
  expect(replayBytes(Method.Put, 10, policy({ bufferBytes: 0 }))).toBe(0);
});
