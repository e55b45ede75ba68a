// The scripted origin and the raw client, talking to each other directly: every built-in path does what it says, and
// the client sees exactly what happened.

import { createHash } from "node:crypto";
import { describe, expect, test } from "bun:test";
import { connect, request, requestBytes } from "./client.ts";
import { type Origin, startOrigin } from "./origin.ts";
import { patternBody } from "./origin-behaviours.ts";
import { waitFor } from "./wait.ts";

/** Runs the task with an origin of its own. */
async function withOrigin(task: (origin: Origin) => Promise<void>): Promise<void> {
  await using origin = startOrigin({ name: "one" });
  await task(origin);
}

describe("good answers", () => {
  test.each([
    ["/ok", 200, "one ok\n"],
    ["/health", 200, "ok\n"],
    ["/status?code=503", 503, "one 503\n"],
    ["/status?code=204", 204, ""],
    ["/slow?ms=1", 200, "one slow\n"],
    ["/close", 200, "one closing\n"],
    ["/hang-up", 200, "one bye\n"],
    ["/nowhere", 404, "no such path\n"],
    ["http://elsewhere/ok?x=1", 200, "one ok\n"],
  ])("%s", async (path, status, body) => {
    await withOrigin(async (origin) => {
      const response = await request(origin.address, { path });
      expect(response.status).toBe(status);
      expect(response.text()).toBe(body);
      expect(response.header("x-origin")).toBe("one");
    });
  });

  test.each([
    ["/size?n=300000", 300_000, "length"],
    ["/size?n=0", 0, "length"],
    ["/chunked?n=10000&chunk=333", 10_000, "chunked"],
    ["/until-close?n=200000", 200_000, "close"],
  ] as const)("%s sends the pattern", async (path, length, framing) => {
    await withOrigin(async (origin) => {
      const response = await request(origin.address, { path });
      expect(response.framing).toBe(framing);
      expect(Buffer.compare(response.body, patternBody(length))).toBe(0);
    });
  });

  test("trailers, interim responses, HEAD", async () => {
    await withOrigin(async (origin) => {
      const chunked = await request(origin.address, { path: "/chunked?n=5&trailer=1" });
      expect(chunked.trailers).toEqual([["X-Check", "5"]]);
      const hints = await request(origin.address, { path: "/early-hints" });
      expect(hints.interim.map((each) => each.status)).toEqual([103]);
      for (const path of ["/size?n=5000", "/ok", "/chunked"]) {
        const head = await request(origin.address, { path, method: "HEAD" });
        expect(head.status).toBe(200);
        expect(head.body.length).toBe(0);
      }
    });
  });

  test("/raw sends anything", async () => {
    await withOrigin(async (origin) => {
      const bytes = "HTTP/1.1 200 OK\nbare LF\n\n";
      using client = await connect(origin.address);
      await client.send(requestBytes(origin.address, { path: `/raw?close=1&base64=${btoa(bytes)}` }));
      expect(await client.readToEnd()).toEqual({ bytes: Buffer.from(bytes), ending: "fin" });
    });
  });
});

describe("request bodies", () => {
  test("/echo returns head, body and trailers as they came, and the record agrees", async () => {
    await withOrigin(async (origin) => {
      const head = `POST /echo?a=1 HTTP/1.1\r\nHost: x\r\nX-Odd:  two  blanks \r\nTransfer-Encoding: chunked\r\n\r\n`;
      using client = await connect(origin.address);
      await client.sendPieces([
        head.slice(0, 30),
        head.slice(30),
        "5\r",
        "\nhel",
        "lo\r",
        "\n0\r\n",
        "T: 1\r\n",
        "\r\n",
      ]);
      const response = await client.read();
      expect(response.text()).toBe(`${head}helloT: 1\r\n`);
      const record = origin.last("/echo");
      expect(record.head).toBe(head);
      expect(record).toMatchObject({ method: "POST", target: "/echo?a=1", bodyLength: 5, trailers: "T: 1\r\n" });
      expect(record.headers[1]).toEqual(["X-Odd", "two  blanks"]);
      expect(Buffer.from(record.body).toString()).toBe("hello");
      expect(record.complete).toBe(true);
    });
  });

  test("/upload hashes a long body, asks for it when the client waits, and keeps a bounded part", async () => {
    await withOrigin(async (origin) => {
      const body = patternBody(1_000_000);
      using client = await connect(origin.address);
      const headers = ["Expect: 100-continue"];
      const bytes = requestBytes(origin.address, { method: "POST", path: "/upload", headers, body });
      await client.send(bytes.subarray(0, bytes.length - body.length));
      expect((await client.readBytes(25)).toString()).toBe("HTTP/1.1 100 Continue\r\n\r\n");
      await client.send(body);
      const response = await client.read();
      const sha256 = createHash("sha256").update(body).digest("hex");
      expect(JSON.parse(response.text())).toEqual({ length: body.length, sha256 });
      expect(origin.last("/upload").body.length).toBe(64 * 1024);
    });
  });

  test("every cut of a chunked request gives the same", async () => {
    await withOrigin(async (origin) => {
      const text = "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nA\r\n0123456789\r\n1\r\nx\r\n0\r\n\r\n";
      for (let cut = 1; cut < text.length; cut++) {
        using client = await connect(origin.address);
        await client.sendPieces([text.slice(0, cut), text.slice(cut)]);
        expect((await client.read()).text()).toEndWith("0123456789x");
      }
      expect(origin.stats().errors).toEqual([]);
    });
  });
});

describe("connections", () => {
  test("keep-alive and pipelining: in order, numbered, counted", async () => {
    await withOrigin(async (origin) => {
      using client = await connect(origin.address);
      const paths = ["/slow?ms=20", "/ok", "/size?n=100000", "/status?code=201"];
      await client.send(Buffer.concat(paths.map((path) => requestBytes(origin.address, { path }))));
      const answers = [await client.read(), await client.read(), await client.read(), await client.read()];
      expect(answers.map((answer) => answer.status)).toEqual([200, 200, 200, 201]);
      expect(answers[0]?.text()).toBe("one slow\n");
      expect(answers[2]?.body.length).toBe(100_000);
      expect(client.unread().length).toBe(0);
      expect(origin.requests().map((each) => [each.connection, each.sequence])).toEqual(
        [1, 2, 3, 4].map((n) => [1, n]),
      );
      expect(origin.stats()).toMatchObject({ accepted: 1, open: 1, requests: 4 });
      expect(origin.stats().byPath["/slow"]).toBe(1);
      client.close();
      await waitFor(() => origin.stats().open === 0, { what: "the connection to close" });
    });
  });

  test("a client that half-closes still gets its whole answer", async () => {
    await withOrigin(async (origin) => {
      for (const path of ["/slow?ms=10", "/size?n=3000000"]) {
        using client = await connect(origin.address);
        await client.send(requestBytes(origin.address, { path }));
        client.finish();
        expect((await client.read()).status).toBe(200);
        expect(await client.waitForEnd()).toBe("fin");
      }
    });
  });

  test("a slow reader costs the origin no memory and loses nothing", async () => {
    await withOrigin(async (origin) => {
      using client = await connect(origin.address);
      client.pause();
      await client.send(requestBytes(origin.address, { path: "/size?n=20000000" }));
      await waitFor(() => origin.stats().requests === 1, { what: "the request" });
      client.discard();
      client.resume();
      await waitFor(() => client.received() > 20_000_000, { what: "the whole body" });
    });
  });

  test("dropConnections resets what is open and goes on", async () => {
    await withOrigin(async (origin) => {
      using client = await connect(origin.address);
      await client.send(requestBytes(origin.address, { path: "/never" }));
      await waitFor(() => origin.stats().requests === 1, { what: "the request" });
      origin.dropConnections();
      expect(await client.waitForEnd()).toBe("reset");
      expect((await request(origin.address)).status).toBe(200);
    });
  });

  test("an origin comes back on its port", async () => {
    const first = startOrigin({ name: "first" });
    await first.close();
    await expect(request(first.address)).rejects.toThrow();
    await using second = startOrigin({ name: "second", port: first.port });
    expect((await request(second.address)).text()).toBe("second ok\n");
  });

  test("a path can be given another behaviour", async () => {
    await withOrigin(async (origin) => {
      origin.on("/ok", (exchange) => {
        exchange.send("HTTP/1.1 299 Mine\r\nContent-Length: 0\r\n\r\n");
        exchange.done();
      });
      expect((await request(origin.address)).status).toBe(299);
    });
  });
});

describe("bad behaviour", () => {
  test.each([
    ["/no-answer", "fin", 0],
    ["/reset", "reset", 0],
    ["/close-early?n=1000&sent=100", "fin", 100],
  ] as const)("%s", async (path, ending, bodyBytes) => {
    await withOrigin(async (origin) => {
      using client = await connect(origin.address);
      await client.send(requestBytes(origin.address, { path }));
      const end = await client.readToEnd();
      expect(end.ending).toBe(ending);
      const body = end.bytes.indexOf("\r\n\r\n");
      expect(body < 0 ? end.bytes.length : end.bytes.length - body - 4).toBe(bodyBytes);
    });
  });

  test("a cut answer is an error for a strict reader", async () => {
    await withOrigin(async (origin) => {
      await expect(request(origin.address, { path: "/close-early" })).rejects.toThrow("100 of 1000 bytes");
      await expect(request(origin.address, { path: "/reset?sent=10" })).rejects.toThrow(/closed within|reset|ended/);
      await expect(request(origin.address, { path: "/no-answer" })).rejects.toThrow("before a response");
      await expect(request(origin.address, { path: "/never", timeoutMs: 20 })).rejects.toThrow("timed out after 20 ms");
      await expect(request(origin.address, { path: "/stall", timeoutMs: 50 })).rejects.toThrow("bytes unread");
    });
  });

  test("/hang-up closes a kept connection unannounced, and what comes too late is not served", async () => {
    await withOrigin(async (origin) => {
      using client = await connect(origin.address);
      await client.send(requestBytes(origin.address, { path: "/hang-up" }));
      const response = await client.read();
      expect(response.header("connection")).toBeNull();
      expect(await client.waitForEnd()).toBe("fin");
      expect(origin.stats().requests).toBe(1);
    });
  });

  test("/no-read leaves the body in the kernel", async () => {
    await withOrigin(async (origin) => {
      using client = await connect(origin.address);
      const body = patternBody(40_000_000);
      const sending = client.send(requestBytes(origin.address, { method: "POST", path: "/no-read", body }));
      await waitFor(() => origin.stats().byPath["/no-read"], { what: "the request's head" });
      origin.dropConnections();
      await expect(sending).rejects.toThrow("reset");
      expect(origin.last("/no-read").bodyLength).toBeLessThan(body.length);
    });
  });

  test("what is not HTTP is told", async () => {
    await withOrigin(async (origin) => {
      for (const text of ["nonsense\r\n\r\n", "GET / HTTP/1.1\r\nA : b\r\n\r\n", "GET /size?n=x HTTP/1.1\r\n\r\n"]) {
        using client = await connect(origin.address);
        await client.send(text);
        expect((await client.read()).status).toBe(400);
        expect(await client.waitForEnd()).toBe("fin");
      }
      expect(origin.stats().errors.length).toBe(3);
      expect(origin.stats().errors[0]).toContain("malformed request line");
    });
  });
});

test("/upgrade echoes both ways and hears half-close", async () => {
  await withOrigin(async (origin) => {
    using client = await connect(origin.address);
    const headers = ["Connection: upgrade", "Upgrade: echo"];
    await client.send(
      Buffer.concat([requestBytes(origin.address, { path: "/upgrade", headers }), Buffer.from("early")]),
    );
    expect((await client.read()).status).toBe(101);
    expect((await client.readBytes(5)).toString()).toBe("early");
    await client.send("later");
    expect((await client.readBytes(5)).toString()).toBe("later");
    client.finish();
    expect(await client.readToEnd()).toEqual({ bytes: Buffer.from("after your FIN\n"), ending: "fin" });
  });
});
