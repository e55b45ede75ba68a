// Who is let in, what is remembered of it, and that guessing is slow for the guesser alone.

import { beforeEach, expect, test } from "bun:test";
import { latin1Text, Scratch } from "../base/bytes.ts";
import { passwordChecksMax, passwordQueueMax } from "../base/limits.ts";
import type { PasswordChecker } from "../base/passwords.ts";
import type { BasicAuthConfig } from "../model/route-config.ts";
import { passwordChecker } from "../sys/passwords.ts";
import { randomBytes } from "../sys/sealer.ts";
import { Auth, type AuthWaiter, BasicAuth } from "./basic-auth.ts";
import { PasswordDesk } from "./password-desk.ts";
import { requestHead, sentHead } from "./test-kit.ts";

/** Compares when told to. A hash is the password itself here. */
class SlowChecker implements PasswordChecker {
  readonly asked: string[] = [];
  private readonly open: (() => void)[] = [];

  check(password: Uint8Array, hash: string): Promise<boolean> {
    const text = latin1Text(password, 0, password.length);
    this.asked.push(`${text} ${hash}`);
    if (hash === "broken") return Promise.reject(new Error("no such hash"));
    return new Promise((resolve) => this.open.push(() => resolve(text === hash)));
  }

  /** Ends the comparisons under way, and those that begin then, until there are none. */
  async finish(): Promise<void> {
    for (let turns = 0; turns < 5; turns++) {
      for (const end of this.open.splice(0)) {
        end();
        turns = 0;
      }
      await Promise.resolve();
    }
  }
}

class Waiter {
  readonly heard: number[] = [];

  onAuth(user: number): void {
    this.heard.push(user);
  }
}

function config(over: Partial<BasicAuthConfig> = {}): BasicAuthConfig {
  const users = [
    { name: "joe", hash: "secret" },
    { name: "Ännchen", hash: "tharau" },
  ];
  return { realm: "staff only", users, userHeader: "X-User", passAuthorization: false, ...over };
}

let checker: SlowChecker;
let desk: PasswordDesk;
let auth: BasicAuth;
beforeEach(() => {
  checker = new SlowChecker();
  desk = new PasswordDesk(checker, randomBytes(16));
  auth = new BasicAuth(config(), desk);
});

const encoded = (login: string): string => Buffer.from(login).toString("base64");
const fieldOf = (login: string): string => `Authorization: Basic ${encoded(login)}`;

function ask(field: string, waiter: AuthWaiter = new Waiter(), nowMs = 0): Auth {
  return auth.check(requestHead(`GET / HTTP/1.1\nHost: h\n${field}`), nowMs, waiter);
}

/** The verdict in the end: number of the user, or -1. */
async function outcome(field: string): Promise<number> {
  const waiter = new Waiter();
  const verdict = ask(field, waiter);
  if (verdict === Auth.Yes) return auth.user;
  if (verdict === Auth.No) return -1;
  await checker.finish();
  expect(waiter.heard.length).toBe(1);
  return waiter.heard[0]!;
}

test.each([
  ["Accept: */*", -1],
  [fieldOf("joe:secret"), 0],
  [fieldOf("Ännchen:tharau"), 1],
  [fieldOf("joe:secret").replace("Basic ", "bAsIC   "), 0],
  [fieldOf("joe:secret").replace(/=+$/, ""), 0],
  [fieldOf("joe:secre"), -1],
  [fieldOf("joe:secret "), -1],
  [fieldOf("Joe:secret"), -1],
  [fieldOf("joe:tharau"), -1],
  [fieldOf(":secret"), -1],
  [fieldOf("joe"), -1],
  [fieldOf("joe:"), -1],
  [fieldOf("joe:sec\0ret"), -1],
  ["Authorization: Basic", -1],
  ["Authorization: Basic ", -1],
  [`Authorization: Basic${encoded("joe:secret")}`, -1],
  [`Authorization: Bearer ${encoded("joe:secret")}`, -1],
  [`Authorization: Basic !${encoded("joe:secret")}`, -1],
  [`Authorization: Basic ${encoded("joe:secret")} x`, -1],
  [`${fieldOf("joe:secret")}\n${fieldOf("joe:secret")}`, -1],
  [`Proxy-Authorization: Basic ${encoded("joe:secret")}`, -1],
])("%s: user %p", async (field, user) => {
  expect(await outcome(field)).toBe(user);
  expect(await outcome(field)).toBe(user); // what is remembered is the same
});

test("a login longer than any is wrong and costs nothing", () => {
  expect(ask(fieldOf(`joe:${"x".repeat(2000)}`))).toBe(Auth.No);
});

test("a password is compared once; the next requests are answered at once", async () => {
  expect(await outcome(fieldOf("joe:secret"))).toBe(0);
  expect([ask(fieldOf("joe:secret")), auth.user]).toEqual([Auth.Yes, 0]);
  expect(await outcome(fieldOf("joe:wrong"))).toBe(-1);
  expect(ask(fieldOf("joe:wrong"))).toBe(Auth.No);
  expect(checker.asked).toEqual(["secret secret", "wrong secret"]);
  expect(ask(fieldOf("joe:wrong"), new Waiter(), 6000)).toBe(Auth.Wait); // a wrong one is not remembered for long
});

test("requests that come with the same login meanwhile wait for the same comparison", async () => {
  const waiters = Array.from({ length: 5 }, () => new Waiter());
  for (const waiter of waiters) expect(ask(fieldOf("joe:secret"), waiter)).toBe(Auth.Wait);
  auth.forget(waiters[1]!);
  await checker.finish();
  expect(checker.asked.length).toBe(1);
  expect(waiters.map(({ heard }) => heard)).toEqual([[0], [], [0], [0], [0]]);
  auth.forget(waiters[0]!); // too late, and no harm
});

test("unknown users cost a comparison too, with a hash of somebody's", async () => {
  expect(await outcome(fieldOf("nobody:secret"))).toBe(-1);
  expect(await outcome(fieldOf("nobody:tharau"))).toBe(-1);
  expect(checker.asked.length).toBe(2);
  for (const asked of checker.asked) expect(asked).toMatch(/ (secret|tharau)$/);
});

test("few comparisons at once, a bounded number waits, the rest is told to come again", async () => {
  const waiters: Waiter[] = [];
  let busy = 0;
  for (let k = 0; k < 200; k++) {
    const waiter = new Waiter();
    const verdict = ask(fieldOf(`joe:${k}`), waiter);
    if (verdict === Auth.Busy) busy++;
    else waiters.push(waiter);
  }
  expect(checker.asked.length).toBe(passwordChecksMax);
  expect(waiters.length).toBe(passwordChecksMax + passwordQueueMax);
  expect(busy).toBe(200 - waiters.length);
  expect(ask(fieldOf("joe:0"))).toBe(Auth.Wait); // joins one that is under way
  await checker.finish();
  expect(waiters.every(({ heard }) => heard.length === 1 && heard[0] === -1)).toBe(true);
  expect(await outcome(fieldOf("joe:secret"))).toBe(0);
});

test("a hash that cannot be compared lets nobody in, and the desk goes on", async () => {
  auth = new BasicAuth(config({ users: [{ name: "joe", hash: "broken" }] }), desk);
  for (let k = 0; k < 5; k++) expect(await outcome(fieldOf(`joe:${k}`))).toBe(-1);
});

test("a verdict that nobody can bear to hear costs the desk nothing", async () => {
  const own = new PasswordDesk({ check: () => Promise.resolve(true) }, new Uint8Array(16));
  const bug = (): never => {
    throw new Error("a bug");
  };
  for (let k = 0; k < passwordChecksMax; k++) {
    const work = own["work"]({ password: new Uint8Array(1), hash: "", done: bug });
    expect(await work.catch(String)).toBe("Error: a bug");
  }
  expect(await new Promise((resolve) => own.compare(new Uint8Array(1), "", resolve))).toBe(true);
});

test("more logins than are remembered", async () => {
  const users = Array.from({ length: 40 }, (_, k) => ({ name: `u${k}`, hash: "p" }));
  auth = new BasicAuth(config({ users }), desk);
  for (let round = 0; round < 2; round++) {
    for (let k = 0; k < 40; k++) expect(await outcome(fieldOf(`u${k}:p`))).toBe(k);
  }
});

test("what the endpoint sees: the user's name as we know it, and no password", () => {
  const text = `GET / HTTP/1.1\nHost: h\n${fieldOf("joe:secret")}\nX-User: root\nX_User: root\nAccept: */*`;
  const sent = (over: Partial<BasicAuthConfig>): string => {
    const added = new Scratch(16);
    const head = requestHead(text);
    new BasicAuth(config(over), desk).apply(head, added, 1);
    return Buffer.from(sentHead(head, added), "latin1").toString().split("\n").slice(2, -2).join("\n");
  };
  expect(sent({})).toBe("Accept: */*\nX-User: Ännchen");
  expect(sent({ passAuthorization: true })).toBe(`${fieldOf("joe:secret")}\nAccept: */*\nX-User: Ännchen`);
  expect(sent({ userHeader: "" })).toBe("X-User: root\nX_User: root\nAccept: */*");
});

test("the challenge", () => {
  const { challenge } = auth;
  expect(latin1Text(challenge, 0, challenge.length)).toBe(
    'WWW-Authenticate: Basic realm="staff only", charset="UTF-8"\r\n',
  );
});

test("with real hashes", async () => {
  const users = [
    { name: "anna", hash: "$2y$05$garej2f5FBfA9OjWsd0MZ.KLuBMSa/H2tV9MiVh4dPadHL2KBt6AO" },
    { name: "bert", hash: "$5$rounds=2000$abc$Bk4qsRJlxvTq.nn8O791bNTgZCJx285nfJCuRG31NS7" },
  ];
  auth = new BasicAuth(config({ users }), new PasswordDesk(passwordChecker, randomBytes(16)));
  const heard = (login: string): Promise<number> =>
    new Promise((resolve) => expect(ask(fieldOf(login), { onAuth: resolve })).toBe(Auth.Wait));
  expect(await Promise.all([heard("anna:Grüße 1"), heard("bert:short"), heard("bert:Grüße 1")])).toEqual([0, 1, -1]);
});
