// Passwords against hashes that other programs made: htpasswd, openssl and crypt(3).

import { expect, test } from "bun:test";
import { passwordHashProblem } from "../base/passwords.ts";
import { passwordChecker } from "./passwords.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

const long = "a very much longer text to encrypt.  This one even stretches over morethan one line.";
const known: readonly (readonly [password: string, hash: string])[] = [
  ["Grüße 1", "$2y$05$garej2f5FBfA9OjWsd0MZ.KLuBMSa/H2tV9MiVh4dPadHL2KBt6AO"],
  ["x".repeat(80), "$2y$05$KLi1800YJTPeDp0RsY9pkOaCyX8YT.FFd1lrxAD1CJ5pKAUBY1XcS"],
  ["password", "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc"],
  // The specification's own, and others by glibc.
  ["Hello world!", "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"],
  ["This is just a test", "$5$rounds=5000$toolongsaltstrin$Un/5jzAHMgOGZ5.mWJpuVolil07guHPvOW8mGRcvxa5"],
  ["short", "$5$rounds=2000$abc$Bk4qsRJlxvTq.nn8O791bNTgZCJx285nfJCuRG31NS7"],
  ["x".repeat(65), "$5$rounds=1000$s$pbpxUPP9mi3xjTpso5g8OGL/nNqGVLDONuVTO80emM4"],
  [
    "Hello world!",
    "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
  ],
  [
    "Hello world!",
    "$6$rounds=10000$saltstringsaltst" +
      "$OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw5v.",
  ],
  [
    long,
    "$6$rounds=1400$anotherlongsalts" +
      "$POfYwTEok97VWcjxIiSOjiykti.o/pQs.wPvMxQ6Fm7I6IoYN3CmLs66x9t0oSwbtEW7o7UmJEiDwGqd8p4ur1",
  ],
  ["Grüße 1", "$6$saltsalt$zwwzfqm.Lu1EwujHtxZGjCuTIK1Hs8iaY8NtJmDuTERMcp9ZW6wtFkzRzyhHFPPZ6wH6yQD9ZyX/2waQg8/sL."],
  ["", "$6$rounds=1000$s$u6h1nDplZjxDo4zJTtL/gDw7SGioQGm.0uRtQXjSgB6lTpGGOfGi4A6UMV.7Q7d2K2ppsidkHUrit0FKUiAv71"],
];

test.each(known)("%s fits %s, and nothing else does", async (password, hash) => {
  expect(passwordHashProblem(hash)).toBeNull();
  expect(await passwordChecker.check(bytes(password), hash)).toBe(true);
  expect(await passwordChecker.check(bytes(`${password.slice(0, 70)}?`), hash)).toBe(false);
  expect(await passwordChecker.check(bytes(""), hash)).toBe(password === "");
});

test("of a password for bcrypt only 72 bytes count, as everywhere", async () => {
  const [password, hash] = known[1]!;
  expect(await passwordChecker.check(bytes(password.slice(0, 72)), hash)).toBe(true);
  expect(await passwordChecker.check(bytes(password.slice(0, 71)), hash)).toBe(false);
});

test("a long SHA-crypt lets others have their turn", async () => {
  let turns = 0;
  let over = false;
  const count = (): void => {
    turns++;
    if (!over) setImmediate(count);
  };
  setImmediate(count);
  await passwordChecker.check(bytes("x"), known[6]![1].replace("rounds=1000", "rounds=20000"));
  over = true;
  expect(turns).toBeGreaterThan(20);
});
