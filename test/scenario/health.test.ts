// Active health checks against real back ends: what each kind of trouble is called, and that traffic follows the
// verdicts.

import { describe, expect, test } from "bun:test";
import { connect, request } from "./lib/client.ts";
import { spawnOrigin } from "./lib/origin-child.ts";
import { startOrigin } from "./lib/origin.ts";
import { startSluice, type Sluice } from "./lib/sluice.ts";
import { waitFor } from "./lib/wait.ts";

interface EndpointStatus {
  readonly id: string;
  readonly health: string;
  readonly usable: boolean;
  readonly reason: string;
  readonly lastCheck: { readonly ok: boolean; readonly reason: string } | null;
  readonly transitionCount: number;
}

async function endpoints(sluice: Sluice): Promise<Record<string, EndpointStatus>> {
  const { pools } = (await sluice.admin("/api/v1/pools")).json<{ pools: { endpoints: EndpointStatus[] }[] }>();
  return Object.fromEntries(pools.flatMap((pool) => pool.endpoints.map((endpoint) => [endpoint.id, endpoint])));
}

const config = (list: string, health: string): string => `
workers: 1
accessLog: off
listeners: { web: { bind: "127.0.0.1:0", forward: app } }
pools:
  app:
    balance: round-robin
    health: { interval: 200ms, timeout: 150ms, healthyThreshold: 2, unhealthyThreshold: 2, ${health} }
    endpoints: [${list}]
`;

describe.concurrent("verdicts", () => {
  test("each kind of trouble has its reason", async () => {
    await using good = startOrigin({ name: "good" });
    await using wrong = startOrigin({ name: "wrong" });
    await using silent = startOrigin({ name: "silent" });
    await using other = startOrigin({ name: "other" });
    await using odd = startOrigin({ name: "odd" });
    await using gone = startOrigin({ name: "gone" });
    wrong.on("/health", (exchange) => {
      exchange.send("HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n");
      exchange.done();
    });
    silent.on("/health", () => {});
    other.on("/health", (exchange) => {
      exchange.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nwell\r\n0\r\n\r\n");
      exchange.done();
    });
    odd.on("/health", (exchange) => {
      exchange.send("HTTP/1.1 200 OK\nx: y\n\n");
      exchange.close();
    });
    const list = [good, wrong, silent, other, odd, gone].map(
      ({ name, address }) => `{ id: ${name}, address: "${address}" }`,
    );
    const address = gone.address;
    await gone.close();
    await using sluice = await startSluice(config(list.join(", "), 'path: /health, expect: { body: "ok" }'));
    const settled = await waitFor(
      async () => {
        const all = await endpoints(sluice);
        const down = Object.values(all).filter(({ health }) => health === "down").length;
        return all["good"]!.health === "up" && down === 5 ? all : null;
      },
      { what: "all verdicts" },
    );
    expect(address).not.toBe("");
    expect(Object.fromEntries(Object.values(settled).map(({ id, reason }) => [id, reason]))).toEqual({
      good: "",
      wrong: "status 500, expected 200-299",
      silent: "timed out after 150ms",
      other: 'body lacks "ok"',
      odd: "connection closed before an answer",
      gone: "connection refused",
    });
    const seen = good.last("/health");
    expect(seen.headers.filter(([name]) => /^(host|user-agent|connection)$/i.test(name))).toEqual([
      ["Host", good.address],
      ["User-Agent", "Sluice-HealthCheck"],
      ["Connection", "close"],
    ]);
    for (let i = 0; i < 10; i++) {
      expect((await request(sluice.address("web"), { path: "/ok" })).body.toString()).toBe("good ok\n");
    }
  });

  test("tcp checks need no more than a connection", async () => {
    await using silent = startOrigin({ name: "silent" });
    silent.on("/health", () => {});
    await using sluice = await startSluice(config(`{ id: silent, address: "${silent.address}" }`, "protocol: tcp"));
    await waitFor(async () => (await endpoints(sluice))["silent"]!.health === "up", { what: "the verdict" });
  });

  test("an endpoint that dies is left out, and taken back when it returns", async () => {
    await using steady = startOrigin({ name: "steady" });
    const mortal = await spawnOrigin({ name: "mortal" });
    const list = `{ id: steady, address: "${steady.address}" }, { id: mortal, address: "${mortal.address}" }`;
    await using sluice = await startSluice(config(list, "path: /health"));
    const isUsable = async (): Promise<boolean> => {
      const { health, usable } = (await endpoints(sluice))["mortal"]!;
      return health === "up" && usable;
    };
    await waitFor(isUsable, { what: "mortal to be up" });
    await mortal.kill();
    await waitFor(async () => (await endpoints(sluice))["mortal"]!.health === "down", { what: "mortal to be down" });
    for (let i = 0; i < 6; i++) {
      expect((await request(sluice.address("web"), { path: "/ok" })).body.toString()).toBe("steady ok\n");
    }
    await using again = await spawnOrigin({ name: "again", port: mortal.port });
    await waitFor(isUsable, { what: "mortal to be back" });
    const bodies = new Set<string>();
    await waitFor(
      async () => {
        bodies.add((await request(sluice.address("web"), { path: "/ok" })).body.toString());
        return bodies.has("again ok\n");
      },
      { what: "an answer from the new one" },
    );
    expect(again.port).toBe(mortal.port);
    expect((await endpoints(sluice))["mortal"]!.transitionCount).toBe(3);
    expect(sluice.logs()).toContain("connection refused");
  });

  test("initial: wait keeps an endpoint out until its first success", async () => {
    await using origin = startOrigin({ name: "late" });
    let healthy = false;
    origin.on("/health", (exchange) => {
      exchange.send(`HTTP/1.1 ${healthy ? 200 : 503} x\r\ncontent-length: 0\r\n\r\n`);
      exchange.done();
    });
    const text = config(
      `{ id: late, address: "${origin.address}" }`,
      "path: /health, initial: wait, unhealthyThreshold: 1000",
    );
    await using sluice = await startSluice(text.replace("unhealthyThreshold: 2, ", ""));
    expect((await request(sluice.address("web"), { path: "/ok" })).status).toBe(503);
    expect((await endpoints(sluice))["late"]!.reason).toBe("not checked yet");
    healthy = true;
    await waitFor(async () => (await endpoints(sluice))["late"]!.usable, { what: "the first success" });
    expect((await request(sluice.address("web"), { path: "/ok" })).status).toBe(200);
  });

  test("a reload that leaves the checks alone leaves the verdicts alone", async () => {
    await using good = startOrigin({ name: "good" });
    await using bad = startOrigin({ name: "bad" });
    await bad.close();
    const list = `{ id: good, address: "${good.address}" }, { id: bad, address: "${bad.address}" }`;
    await using sluice = await startSluice(config(list, "path: /health"));
    await waitFor(async () => (await endpoints(sluice))["bad"]!.health === "down", { what: "bad to be down" });
    const before = (await endpoints(sluice))["good"]!.transitionCount;
    expect(
      (await sluice.reload(config(list, "path: /health").replace("round-robin", "least-connections"))).status,
    ).toBe(200);
    const after = await endpoints(sluice);
    expect([after["bad"]!.health, after["good"]!.health, after["good"]!.transitionCount]).toEqual([
      "down",
      "up",
      before,
    ]);
  });
});

describe("the operator's word", () => {
  test("drain lets what is under way finish and gives nothing new", async () => {
    await using a = startOrigin({ name: "a" });
    await using b = startOrigin({ name: "b" });
    const list = `{ id: a, address: "${a.address}" }, { id: b, address: "${b.address}" }`;
    await using sluice = await startSluice(config(list, "path: /health"));
    const address = sluice.address("web");
    using slow = await connect(address);
    await slow.send(`GET /slow?ms=500 HTTP/1.1\r\nHost: x\r\n\r\n`);
    await waitFor(() => (a.stats().byPath["/slow"] ?? 0) + (b.stats().byPath["/slow"] ?? 0) === 1, {
      what: "the request",
    });
    const busy = a.stats().byPath["/slow"] === 1 ? "a" : "b";
    const free = busy === "a" ? "b" : "a";
    const patch = await sluice.admin(`/api/v1/pools/app/endpoints/${busy}`, {
      method: "PATCH",
      body: JSON.stringify({ admin: "drain" }),
    });
    expect(patch.json<{ active: number; usable: boolean }>()).toMatchObject({ active: 1, usable: false });
    for (let i = 0; i < 6; i++) {
      expect((await request(address, { path: "/ok" })).body.toString()).toBe(`${free} ok\n`);
    }
    expect((await slow.read()).status).toBe(200);
    await waitFor(
      async () => (await sluice.admin(`/api/v1/pools/app/endpoints/${busy}`)).json<{ active: number }>().active === 0,
      {
        what: "the endpoint to be idle",
      },
    );
  });
});
