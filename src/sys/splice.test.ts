// The pipe of splice: what is left in it by trouble reaches nobody else.

import { expect, test } from "bun:test";
import { libc } from "./libc.ts";
import { isLinux } from "./platform.ts";
import { Splicer, splicer } from "./splice.ts";

test.if(isLinux)("a pipe whose bytes cannot be had back is given up with them", () => {
  const fds = new Int32Array(2);
  libc!.socketpair(1, 1, 0, fds);
  const results = [100, -1]; // 100 bytes come out of the source, and the target takes none
  const calls = { splice: () => results.shift()!, read: () => -1, pipe2: () => -1, fcntl: () => -1 };
  const broken = new Splicer(calls, fds);
  expect(() => broken.move(-1, -1, 1000)).toThrow("the splice pipe lost 100 bytes");
  expect([libc!.close(fds[0]!), libc!.close(fds[1]!)]).toEqual([-1, -1]);
  const whole = splicer();
  expect(whole).not.toBe(broken);
  expect(splicer()).toBe(whole);
});
