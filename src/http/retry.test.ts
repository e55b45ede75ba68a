// The verdict on every kind of failure, for safe and unsafe methods, first and second attempts.

import { describe, expect, test } from "bun:test";
import { failure, FailureCause, Phase, Side } from "../base/failure.ts";
import { retriesMax } from "../base/limits.ts";
import { Method } from "../wire/head.ts";
import { decideRetry, isIdempotent, Retry } from "./retry.ts";

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
