// Waiting: what comes true in time, what never does, and what is said then.

import { expect, test } from "bun:test";
import { waitFor, within } from "./wait.ts";

test("returns the first value that is not nothing; zero and the empty string are values", async () => {
  let calls = 0;
  const late = (): string | null => (++calls < 3 ? null : "there");
  expect(await waitFor(late, { what: "it", everyMs: 1 })).toBe("there");
  expect(calls).toBe(3);
  expect(await waitFor(() => 0, { what: "zero" })).toBe(0);
  expect(await waitFor(() => "", { what: "text" })).toBe("");
});

test("an error counts as not yet", async () => {
  let calls = 0;
  const flaky = (): Promise<boolean> => (++calls < 2 ? Promise.reject(new Error("no")) : Promise.resolve(true));
  expect(await waitFor(flaky, { what: "it", everyMs: 1 })).toBe(true);
});

test("asks at least once, and says what it waited for and what it last saw", async () => {
  expect(await waitFor(() => 1, { what: "it", timeoutMs: 0 })).toBe(1);
  const never = waitFor(() => false, { what: "the moon", timeoutMs: 5, everyMs: 1 });
  await expect(never).rejects.toThrow("timed out after 5 ms waiting for the moon (last seen: false)");
  const failing = waitFor(() => Promise.reject(new Error("ECONNREFUSED")), { what: "it", timeoutMs: 0 });
  await expect(failing).rejects.toThrow("last seen: ECONNREFUSED");
});

test("within passes values and errors on, and names what did not come", async () => {
  expect(await within(Promise.resolve(5), 1000, () => "it")).toBe(5);
  await expect(within(Promise.reject(new Error("own")), 1000, () => "it")).rejects.toThrow("own");
  await expect(within(new Promise(() => {}), 1, () => "an answer")).rejects.toThrow("after 1 ms waiting for an answer");
});
