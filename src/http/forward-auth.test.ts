// Forward authentication: what each answer of the service comes to, that a client's own fields never pass for the
// service's, what is remembered and shared, and that nobody is asked for whoever has gone.

import { describe, expect, test } from "bun:test";
import { newPickState } from "../balance/pick-state.ts";
import { latin1Text, Scratch } from "../base/bytes.ts";
import { authBodyBytesMax, authFieldsBytesMax, targetBytesMax } from "../base/limits.ts";
import { seededRng } from "../base/seeded-rng.ts";
import { defaultForwardAuth } from "../model/policy-defaults.ts";
import type { ForwardAuthConfig } from "../model/route-config.ts";
import { Method } from "../wire/head.ts";
import {
  answerHead,
  AuthSays,
  type AuthVerdict,
  ForwardAuth,
  type Question,
  type VerdictWaiter,
} from "./forward-auth.ts";
import { sendOwn } from "./own-answer.ts";
import { anyAnswer, PoolRig, type RigConnection } from "./pool-rig.ts";
import { bench as measure } from "./sub-requests.bench.ts";
import { factsOf } from "./test-facts.ts";
import { RecordingStream, requestHead, sentHead } from "./test-kit.ts";

const firstSeed = Number(process.env["SLUICE_SEED"] ?? 1);
const runs = Number(process.env["SLUICE_RUNS"] ?? 25);

const seeds = [
  { k0: 1, k1: 2 },
  { k0: 3, k1: 4 },
] as const;
const get = "GET /a HTTP/1.1\nHost: a\nCookie: c=1";
const nothing = [0, 0, 0, 0, 0];

/** Somebody who asks, and what came of it. */
class Asker implements VerdictWaiter {
  question: Question | null = null;
  verdicts: AuthVerdict[] = [];
  onHeard: () => void = () => {};

  onVerdict(verdict: AuthVerdict): void {
    this.verdicts.push(verdict);
    this.onHeard();
  }
  /** "pass", "answer 401 …" or "refuse 503"; "" while it waits. */
  get heard(): string {
    return this.verdicts.map(words).join(" then ");
  }
}

function words({ says, status, lines, body }: AuthVerdict): string {
  const text = [lines, body].map((bytes) => latin1Text(bytes, 0, bytes.length)).join("|");
  if (says === AuthSays.Pass) return `pass ${text.slice(0, -1)}`;
  return says === AuthSays.Answer ? `answer ${status} ${text}` : `refuse ${status}`;
}

class Bench {
  readonly rig: PoolRig;
  readonly auth: ForwardAuth;

  constructor(change: Partial<ForwardAuthConfig> = {}, rig: PoolRig = new PoolRig()) {
    const config = { pool: "auth", path: "/verify", ...defaultForwardAuth, ...change };
    this.rig = rig;
    this.auth = new ForwardAuth(config, rig.runtime, { ...rig.parts, seeds });
  }

  ask(text = get, requestId = "id"): Asker {
    const asker = new Asker();
    const facts = factsOf(requestHead(text), { source: "192.0.2.7", scheme: "http", requestId });
    const verdict = this.auth.ask(asker, facts, this.rig.holder);
    if (verdict !== null) asker.verdicts.push(verdict);
    else expect(asker.question).not.toBeNull();
    return asker;
  }
  get latest(): RigConnection {
    return this.rig.latest.opened ? this.rig.latest : this.rig.latest.open();
  }
  /** Asks, and has the service answer. */
  answered(answer: string, text = get): Asker {
    const asker = this.ask(text);
    this.latest.receive(answer);
    return asker;
  }
  /** Questions that have reached the service since the last call. */
  get questions(): number {
    return this.rig.connections.reduce((sum, one) => sum + one.sent().split("GET /").length - 1, 0);
  }
}

function answerOf(status: string, fields = "", body = ""): string {
  return `HTTP/1.1 ${status}\r\n${fields}Content-Length: ${body.length}\r\n\r\n${body}`;
}

describe("the answer", () => {
  test("2xx lets the request pass, with what is to be copied", () => {
    const fields = "X-User: joe\r\nX-Other: 1\r\nx-roles: a\r\nX-Roles: b\r\n";
    for (const status of ["200 OK", "204 No Content", "299 Fine"]) {
      const bench = new Bench({ copyHeaders: ["x-user", "x-roles"] });
      const asker = bench.answered(answerOf(status, fields));
      expect(asker.heard).toBe("pass X-User: joe\r\nx-roles: a\r\nX-Roles: b\r\n");
      expect([bench.rig.underWay, bench.rig.sum("idle"), asker.question]).toEqual([nothing, 1, null]);
    }
    expect(new Bench().answered(answerOf("200 OK", fields)).heard).toBe("pass ");
  });

  test("2xx with a body: nobody waits for its end", () => {
    const bench = new Bench();
    const asker = bench.answered("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na");
    expect([asker.heard, bench.rig.underWay]).toEqual(["pass ", [1, 1, 0, 0, 1]]);
    bench.latest.receive("bc");
    expect([asker.heard, bench.rig.underWay, bench.rig.sum("idle")]).toEqual(["pass ", nothing, 1]);
    const broken = bench.answered("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na");
    bench.latest.break();
    expect([broken.heard, bench.rig.underWay]).toEqual(["pass ", nothing]);
  });

  test("what is neither 2xx nor 5xx goes to the client, as it is", () => {
    const bench = new Bench();
    const asker = bench.answered(
      "HTTP/1.1 401 No\r\nWWW-Authenticate: Bearer\r\nDate: then\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n" +
        "Connection: x-hop\r\nX-Hop: 1\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n" +
        "3\r\nhi!\r\n0\r\n\r\n",
    );
    expect(asker.heard).toBe(
      "answer 401 WWW-Authenticate: Bearer\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Type: text/html\r\n|hi!",
    );
    const sent = (method: Method): string => {
      const client = new RecordingStream("192.0.2.1");
      answerHead(asker.verdicts[0]!, method, 0);
      sendOwn(client, new Scratch(16));
      return client.text;
    };
    expect(sent(Method.Get)).toBe(
      "HTTP/1.1 401 Unauthorized\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nWWW-Authenticate: Bearer\r\n" +
        "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Type: text/html\r\nContent-Length: 3\r\n\r\nhi!",
    );
    expect(sent(Method.Head)).toEndWith("Content-Length: 3\r\n\r\n");
    const redirected = bench.answered(answerOf("302 Found", "Location: https://sso.example/?back=1\r\n"));
    expect(redirected.heard).toBe("answer 302 Location: https://sso.example/?back=1\r\n|");
    expect(bench.answered("HTTP/1.1 304 Not Modified\r\n\r\n").heard).toBe("answer 304 |");
  });

  test("a body that is too long is left out, and whatever describes it", () => {
    const fields = "Content-Type: text/html\r\nContent-Encoding: gzip\r\nX-A: 1\r\n";
    const long = "x".repeat(authBodyBytesMax + 1);
    const framings = [
      `Content-Length: ${long.length}\r\n\r\n${long}`,
      `Transfer-Encoding: chunked\r\n\r\n${long.length.toString(16)}\r\n${long}\r\n0\r\n\r\n`,
      `Connection: close\r\n\r\n${long}`,
    ];
    for (const framing of framings) {
      const bench = new Bench();
      const asker = bench.answered(`HTTP/1.1 403 No\r\n${fields}${framing}`);
      expect([asker.heard, bench.rig.underWay]).toEqual(["answer 403 X-A: 1\r\n|", nothing]);
    }
    const whole = new Bench().answered(answerOf("403 No", fields, long.slice(1)));
    expect(whole.verdicts[0]!.body.length).toBe(authBodyBytesMax);
  });

  test("a No that breaks off is still a No, also where failures pass", () => {
    const bench = new Bench({ onError: "allow" });
    const asker = bench.answered(`HTTP/1.1 401 No\r\nX-A: 1\r\nContent-Type: x\r\nContent-Length: 10\r\n\r\nabc`);
    expect(asker.heard).toBe("");
    bench.latest.break();
    expect(asker.heard).toBe("answer 401 X-A: 1\r\n|");
  });

  test("with more fields than an answer of ours may have is one without", () => {
    const fields = "X: 1\r\n".repeat(999);
    expect(new Bench().answered(answerOf("403 No", fields)).heard).toBe("answer 403 |");
  });
});

describe("a service that fails", () => {
  const failures: Readonly<Record<string, (bench: Bench) => void>> = {
    "nobody listens": (bench) => bench.rig.latest.break(),
    "no answer in time": (bench) => bench.rig.time.pass(defaultForwardAuth.timeoutMs),
    "no answer in time, though connected": (bench) => {
      bench.latest.receive("HTTP/1.1 200 OK\r\n");
      bench.rig.time.pass(defaultForwardAuth.timeoutMs);
    },
    "5xx": (bench) => bench.latest.receive(answerOf("502 no", "X-User: joe\r\n", "trouble")),
    nonsense: (bench) => bench.latest.receive("220 smtp\r\n"),
    "too many fields": (bench) =>
      bench.latest.receive(answerOf("200 OK", `X-User: ${"x".repeat(authFieldsBytesMax)}\r\n`)),
  };
  test.each(Object.entries(failures))("%s", (_name, fail) => {
    for (const onError of ["refuse", "allow"] as const) {
      const bench = new Bench({ onError, copyHeaders: ["x-user"] });
      const asker = bench.ask();
      fail(bench);
      for (const { opened, isOpen } of bench.rig.connections) if (isOpen && !opened) bench.rig.latest.break();
      expect([asker.heard, bench.rig.underWay]).toEqual([onError === "allow" ? "pass " : "refuse 503", nothing]);
    }
  });

  test("at once: no endpoint, none free", () => {
    for (const rig of [new PoolRig([{ weight: 0 }]), new PoolRig([{ maxConnections: 1 }])]) {
      const bench = new Bench({}, rig);
      const first = bench.ask();
      const second = bench.ask();
      expect([first.heard === "" || first.heard === "refuse 503", second.heard]).toEqual([true, "refuse 503"]);
    }
  });

  test("another endpoint is asked in what is left of the time", () => {
    const bench = new Bench({}, new PoolRig([{}, {}]));
    const asker = bench.ask();
    bench.rig.time.pass(defaultForwardAuth.timeoutMs / 2);
    bench.latest.receive(answerOf("200 OK"));
    expect([asker.heard, bench.rig.connections.length]).toEqual(["pass ", 2]);
  });

  test("is not what happens to a question that the client made too long", () => {
    const bench = new Bench({ path: "/?u={uri}", onError: "allow" });
    const long = bench.ask(`GET /${"a".repeat(targetBytesMax - 1)} HTTP/1.1\nHost: a`);
    expect([long.heard, bench.rig.underWay]).toEqual(["refuse 414", nothing]);
  });
});

describe("the request that passes", () => {
  const client = `${get}\nX-User: admin\nx_user: admin\nX-Other: 1`;
  const applied = (bench: Bench, verdict: AuthVerdict): string => {
    const head = requestHead(client);
    const added = new Scratch(64);
    added.putText("X-User: ours\r\nX-Via: 1\r\n");
    bench.auth.apply(verdict, head, added);
    return sentHead(head, added).replace(/^[\s\S]*Cookie: c=1\n/, "");
  };

  test("has the service's fields, and never the client's of those names", () => {
    const bench = new Bench({ copyHeaders: ["x-user"], onError: "allow", cacheMs: 1000 });
    const yes = bench.answered(answerOf("200 OK", "X-User: joe\r\n"), client).verdicts[0]!;
    expect(applied(bench, yes)).toBe("X-Other: 1\nX-Via: 1\nX-User: joe\n\n");
    expect(applied(bench, bench.ask(client).verdicts[0]!)).toBe("X-Other: 1\nX-Via: 1\nX-User: joe\n\n");
    const plain = new Bench({ copyHeaders: ["x-user"], onError: "allow" });
    const without = plain.answered(answerOf("200 OK")).verdicts[0]!;
    expect(applied(plain, without)).toBe("X-Other: 1\nX-Via: 1\n\n");
    const failed = plain.answered(answerOf("500 no")).verdicts[0]!;
    expect([words(failed), applied(plain, failed)]).toEqual(["pass ", "X-Other: 1\nX-Via: 1\n\n"]);
  });

  test("stays as it is where nothing is copied", () => {
    const bench = new Bench();
    const yes = bench.answered(answerOf("200 OK", "X-User: joe\r\n")).verdicts[0]!;
    expect(applied(bench, yes)).toBe("X-User: admin\nx_user: admin\nX-Other: 1\nX-User: ours\nX-Via: 1\n\n");
  });
});

describe("what is remembered", () => {
  const cached = { cacheMs: 10_000, copyHeaders: ["x-user"] };
  const yes = answerOf("200 OK", "X-User: joe\r\n");

  test("2xx, for the same question, for so long", () => {
    const bench = new Bench(cached);
    bench.answered(yes);
    expect(bench.questions).toBe(1);
    const again = bench.ask(`${get}\nX-More: 1`.replace("/a", "/b"), "another id");
    expect([again.heard, again.question, bench.questions]).toEqual(["pass X-User: joe\r\n", null, 0]);
    const other = bench.answered(answerOf("401 No"), get.replace("c=1", "c=2"));
    expect([other.heard, bench.questions]).toEqual(["answer 401 |", 1]);
    bench.rig.time.cachedMs += 10_000;
    expect([bench.ask().heard, bench.questions]).toEqual(["", 1]);
  });

  test("nothing but 2xx, and nothing without a cache", () => {
    const bench = new Bench(cached);
    for (const answer of [answerOf("401 No"), answerOf("302 Found"), answerOf("500 no")]) {
      bench.answered(answer);
      bench.answered(answer);
    }
    expect(bench.questions).toBe(6);
    const plain = new Bench();
    plain.answered(yes);
    plain.answered(yes);
    expect(plain.questions).toBe(2);
  });

  test.each([
    ["no-store", 0],
    ["private, No-Cache", 0],
    ["max-age=0", 0],
    ["max-age=soon", 0],
    ["max-age", 0],
    ["max-age=3", 3000],
    ['public, s-maxage="2" , max-age=3', 2000],
    ["max-age=100", 10_000],
    ["private", 10_000],
  ])("Cache-Control: %s", (value, freshMs) => {
    const bench = new Bench(cached);
    bench.answered(answerOf("200 OK", `Cache-Control: ${value}\r\n`));
    expect(bench.questions).toBe(1);
    if (freshMs > 0) {
      bench.rig.time.cachedMs += freshMs - 1;
      expect([bench.ask().heard, bench.questions]).toEqual(["pass ", 0]);
      bench.rig.time.cachedMs += 1;
    }
    bench.ask();
    expect(bench.questions).toBe(1);
  });
});

describe("the same question at the same time", () => {
  const cached = { cacheMs: 10_000, copyHeaders: ["x-user"] };

  test("is asked once where answers are remembered", () => {
    const bench = new Bench(cached);
    const askers = [bench.ask(), bench.ask(), bench.ask(get, "id2"), bench.ask(get.replace("c=1", "c=2"))];
    expect(bench.rig.connections.length).toBe(2);
    bench.rig.connections[0]!.open().receive(answerOf("200 OK", "X-User: joe\r\n"));
    const pass = "pass X-User: joe\r\n";
    expect(askers.map(({ heard }) => heard)).toEqual([pass, pass, pass, ""]);
    const plain = new Bench();
    void [plain.ask(), plain.ask()];
    expect(plain.rig.connections.length).toBe(2);
  });

  test("a failure is everybody's", () => {
    const bench = new Bench(cached);
    const askers = [bench.ask(), bench.ask()];
    bench.rig.latest.break();
    expect([askers.map(({ heard }) => heard), bench.rig.connections.length]).toEqual([["refuse 503", "refuse 503"], 1]);
  });

  test("what may not be remembered is for one alone; the others ask for themselves, under their own ids", () => {
    const answers = [
      answerOf("401 No", "Set-Cookie: s=1\r\n"),
      answerOf("302 Found"),
      answerOf("200 OK", "Cache-Control: no-store\r\n"),
      answerOf("200 OK", "Cache-Control: no-store\r\n", "with a body"),
    ];
    for (const answer of answers) {
      const bench = new Bench(cached);
      const askers = [bench.ask(get, "id0"), bench.ask(get, "id1"), bench.ask(get, "id2")];
      const [one] = bench.rig.connections;
      one!.open().receive(answer);
      expect(askers.map(({ heard }) => heard !== "")).toEqual([true, false, false]);
      expect(bench.rig.underWay).toEqual([2, 2, 0, 0, 2]);
      for (const connection of bench.rig.connections) {
        if (!connection.opened) connection.open();
      }
      const sent = bench.rig.connections.map((connection) => connection.sent()).join("");
      expect([...sent.matchAll(/X-Request-Id: (\w+)/g)].map(([, id]) => id).toSorted()).toEqual(["id0", "id1", "id2"]);
      for (const connection of bench.rig.connections) connection.receive(answer);
      expect(askers.map(({ verdicts }) => verdicts.length)).toEqual([1, 1, 1]);
      expect(bench.rig.underWay).toEqual(nothing);
    }
  });

  test("whoever leaves hears nothing; the question ends with the last of them", () => {
    const bench = new Bench(cached);
    const askers = [bench.ask(), bench.ask()];
    bench.auth.forget(askers[0]!);
    bench.auth.forget(askers[0]!);
    expect(bench.rig.latest.isOpen).toBe(true);
    const third = bench.ask();
    bench.latest.receive(answerOf("200 OK"));
    expect([...askers, third].map(({ heard }) => heard)).toEqual(["", "pass ", "pass "]);
    bench.rig.time.cachedMs += 10_000;
    const last = bench.ask();
    const connection = bench.latest;
    bench.auth.forget(last);
    expect([connection.ended, last.question, ...bench.rig.underWay]).toEqual(["abort", null, ...nothing]);
    expect(bench.ask().question).not.toBeNull(); // nobody joins what was given up
    expect(bench.rig.connections.length).toBe(2);
  });

  test("those who join while it is being asked hear the verdict, too, if it is there at once", () => {
    const bench = new Bench({ cacheMs: 1000 }, new PoolRig([{ maxConnections: 1 }]));
    const { rig } = bench;
    bench.answered(answerOf("200 OK"));
    bench.latest.finished = true; // the next write finds it closed
    let joined: Asker | null = null;
    rig.pool.onCapacity = () => {
      rig.pool.onCapacity = null;
      rig.pool.acquire(newPickState(1));
      joined = bench.ask(`${get}2`);
    };
    expect(bench.ask(`${get}2`).heard).toBe("refuse 503");
    expect(joined!.heard).toBe("refuse 503");
  });

  test("one who is told may send another away, or ask again", () => {
    const bench = new Bench(cached);
    const askers = [bench.ask(), bench.ask(), bench.ask()];
    let again = new Asker();
    askers[0]!.onHeard = () => {
      bench.auth.forget(askers[1]!);
      again = bench.ask();
    };
    bench.latest.receive(answerOf("200 OK"));
    expect([...askers, again].map(({ heard }) => heard)).toEqual(["pass ", "", "pass ", "pass "]);
  });
});

test("whatever happens, everybody who stays hears one verdict, and nothing is left", () => {
  for (let seed = firstSeed; seed < firstSeed + runs * 4; seed++) {
    const rng = seededRng(seed);
    const circuit = { connections: rng.below(2) * 3, pending: 0, requests: rng.below(2) * 4 };
    const rig = new PoolRig([{ maxConnections: rng.below(3) }, {}], { circuit }, rng);
    const bench = new Bench({ cacheMs: rng.below(2) * 200, timeoutMs: 700, copyHeaders: ["x-user"] }, rig);
    const askers: Asker[] = [];
    const gone = new Set<Asker>();
    const leave = (): void => {
      const one = askers[rng.below(Math.max(1, askers.length))];
      if (one === undefined) return;
      if (one.question !== null) gone.add(one);
      bench.auth.forget(one);
    };
    for (let step = 0; step < 60; step++) {
      if (rng.below(3) === 0) {
        const asker = bench.ask(get.replace("c=1", `c=${rng.below(3)}`));
        askers.push(asker);
        asker.onHeard = rng.below(4) === 0 ? leave : asker.onHeard;
      } else if (rng.below(12) === 0) leave();
      else rig.trouble(rng, () => anyAnswer(rng));
    }
    const left = rig.end();
    const where = `seed ${seed}`;
    expect([where, ...rig.underWay, ...left]).toEqual([where, ...nothing, 0, 0, 0]);
    for (const one of askers) {
      expect([where, one.verdicts.length, one.question]).toEqual([where, gone.has(one) ? 0 : 1, null]);
    }
  }
});

test("the bench runs", () => {
  for (const nanoseconds of Object.values(measure(100))) expect(nanoseconds).toBeGreaterThan(0);
});
