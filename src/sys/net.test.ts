// The tests of every network (bun-net.test.ts runs them once more): the contract of base/ports.ts over real sockets of
// the loopback interface: addresses, half-close, resets, backpressure, failing connects, exceptions, pausing, and
// descriptors that come back.

import { afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { Cause } from "../base/ports.ts";
import type { Connection, ConnectionEvents, Target } from "../base/ports.ts";
import {
  anyPort,
  closedPort,
  connectedPair,
  createNet,
  dial,
  openDescriptors,
  pattern,
  Recorder,
  serve,
  settle,
  synSentTo,
} from "./test-kit.ts";
import { hasIpv6, until, writeAll } from "./test-kit.ts";
import type { Server } from "./test-kit.ts";
import { getIntOption, libc } from "./libc.ts";
import { closeFd, createListener } from "./listen-socket.ts";
import { platform } from "./platform.ts";

const folder = mkdtempSync(`${tmpdir()}/sluice-tcp-`);
let server: Server;

afterEach(() => {
  server.listening.close();
  for (const recorder of server.accepted) recorder.connection!.abort();
});
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

const bytesOf = (text: string): Uint8Array => Buffer.from(text, "latin1");

describe("addresses", () => {
  const binds: readonly (readonly [string, Target, string])[] = [
    ["IPv4", anyPort, "127.0.0.1"],
    ["IPv6", { ip: "::1", port: 0, unixPath: null }, "::1"],
    ["unix", { ip: "", port: 0, unixPath: `${folder}/a.sock` }, "unix:"],
    ["abstract unix", { ip: "", port: 0, unixPath: `\0sluice-test-${process.pid}` }, "unix:"],
  ];
  test.each(binds.filter(([, bind]) => hasIpv6 || !bind.ip.includes(":")))(
    "%s: bytes travel both ways and the peer is named",
    async (_name, bind, address) => {
      server = serve(bind);
      const { near, far } = await connectedPair(server);
      near.connection.write(bytesOf("xhellox"), 1, 6);
      await until("request", () => far.text === "hello");
      far.connection.write(bytesOf("world"), 0, 5);
      await until("answer", () => near.text === "world");
      expect(far.connection.remoteAddress).toBe(address);
      expect(near.connection.remoteAddress).toBe(address);
      expect(near.connection.remotePort).toBe(server.target.port);
      expect(far.connection.remotePort > 0).toBe(bind.unixPath === null);
      near.connection.close();
      await until("closed", () => far.finished === 1);
    },
  );

  test.if(hasIpv6)("an IPv4 client of a dual-stack listener is named by its IPv4 address", async () => {
    server = serve({ ip: "::", port: 0, unixPath: null });
    const near = dial(server.net, { ...server.target, ip: "127.0.0.1" });
    await until("accepted", () => server.accepted.length === 1);
    expect(server.accepted[0]!.connection!.remoteAddress).toBe("127.0.0.1");
    near.connection.abort();
  });

  test("a peer that is gone before anybody asked may have an empty name, a known one keeps its name", async () => {
    server = serve();
    const { near, far } = await connectedPair(server);
    const other = await connectedPair(server);
    expect(other.far.connection.remoteAddress).toBe("127.0.0.1");
    near.connection.abort();
    other.near.connection.abort();
    await until("resets heard", () => far.isClosed && other.far.isClosed);
    expect(["", "127.0.0.1"]).toContain(far.connection.remoteAddress);
    expect(other.far.connection.remoteAddress).toBe("127.0.0.1");
  });
});

describe("half-close", () => {
  test("the connecting side finishes first and still reads 3 MB", async () => {
    server = serve();
    const { near, far } = await connectedPair(server);
    near.connection.write(bytesOf("ask"), 0, 3);
    near.connection.finish();
    await until("FIN at the far end", () => far.finished === 1);
    expect(far.text).toBe("ask");
    const answer = pattern(3_000_000);
    await writeAll(far, answer);
    far.connection.finish();
    await until("both closed", () => near.isClosed && far.isClosed);
    expect(Buffer.concat(near.chunks).equals(answer)).toBe(true);
    expect([near.closes, far.closes]).toEqual([[Cause.None], [Cause.None]]);
  });

  test("the accepted side finishes first and still reads", async () => {
    server = serve();
    const { near, far } = await connectedPair(server);
    far.connection.finish();
    await until("FIN at the near end", () => near.finished === 1);
    const rest = pattern(1_000_000);
    await writeAll(near, rest);
    near.connection.finish();
    await until("both closed", () => near.isClosed && far.isClosed);
    expect(Buffer.concat(far.chunks).equals(rest)).toBe(true);
    expect([near.closes, far.closes]).toEqual([[Cause.None], [Cause.None]]);
  });

  test("after finish() nothing can be written, and a second one is harmless", async () => {
    server = serve();
    const { near, far } = await connectedPair(server);
    near.connection.finish();
    near.connection.finish();
    expect(near.connection.write(bytesOf("x"), 0, 1)).toBe(-1);
    await until("FIN", () => far.finished === 1);
    expect(near.connection.isOpen).toBe(true);
    near.connection.abort();
  });
});

describe("close and abort", () => {
  test("abort() tells its own side Aborted before it returns and the peer Reset", async () => {
    server = serve();
    const { near, far } = await connectedPair(server);
    near.connection.abort();
    expect(near.closes).toEqual([Cause.Aborted]);
    expect(near.connection.isOpen).toBe(false);
    await until("reset heard", () => far.isClosed);
    expect(far.closes).toEqual([Cause.Reset]);
  });

  test("close() tells its own side None before it returns and the peer hears FIN", async () => {
    server = serve();
    const { near, far } = await connectedPair(server);
    near.connection.close();
    expect(near.closes).toEqual([Cause.None]);
    await until("FIN heard", () => far.finished === 1);
    expect(far.isClosed).toBe(false);
    far.connection.close();
    expect(far.closes).toEqual([Cause.None]);
  });

  test("close() still delivers everything that was accepted, to a reader that is slow", async () => {
    server = serve();
    const { near, far } = await connectedPair(server);
    far.connection.pause();
    const bytes = pattern(8_000_000);
    const accepted = near.connection.write(bytes, 0, bytes.length);
    expect(accepted).toBeGreaterThan(100_000);
    near.connection.close();
    await settle();
    far.connection.resume();
    await until("FIN", () => far.finished === 1);
    expect(Buffer.concat(far.chunks).equals(bytes.subarray(0, accepted))).toBe(true);
  });

  test("close() with unread input resets the peer", async () => {
    server = serve();
    const { near, far } = await connectedPair(server);
    far.connection.pause();
    near.connection.write(bytesOf("unread"), 0, 6);
    await settle();
    far.connection.close();
    await until("reset", () => near.isClosed);
    expect(near.closes).toEqual([Cause.Reset]);
  });

  test("a paused connection hears a reset", async () => {
    server = serve();
    const { near, far } = await connectedPair(server);
    far.connection.pause();
    near.connection.abort();
    await until("reset", () => far.isClosed);
    expect(far.closes).toEqual([Cause.Reset]);
  });

  test("every method of a closed connection is harmless", async () => {
    server = serve();
    const { near } = await connectedPair(server);
    near.connection.abort();
    const c = near.connection;
    c.pause();
    c.resume();
    c.finish();
    c.close();
    c.abort();
    expect(c.write(bytesOf("x"), 0, 1)).toBe(-1);
    await settle();
    expect(near.closes).toEqual([Cause.Aborted]);
  });

  test("aborting inside accept tells the returned events once", async () => {
    server = serve(anyPort, (recorder) => recorder.connection!.abort());
    const near = dial(server.net, server.target);
    await until("reset", () => near.isClosed);
    expect(server.accepted[0]!.closes).toEqual([Cause.Aborted]);
  });

  test("aborting and closing from within the events is safe and told once", async () => {
    server = serve();
    for (const act of ["abort", "close"] as const) {
      const { near, far } = await connectedPair(server);
      near.connection.events = Object.assign(new Recorder(), {
        onData: () => near.connection[act](),
        onClose: (cause: Cause) => {
          near.onClose(cause);
          near.connection.abort();
          near.connection.close();
        },
      });
      far.connection.write(bytesOf("x"), 0, 1);
      await until("closed", () => near.isClosed);
      await settle();
      expect(near.closes).toEqual([act === "abort" ? Cause.Aborted : Cause.None]);
      far.connection.abort();
    }
  });
});

describe("backpressure", () => {
  test("50 MB to a slow reader: the kernel takes a bounded part, the rest waits, all arrives", async () => {
    server = serve();
    const { near, far } = await connectedPair(server);
    const total = 50_000_000;
    const block = pattern(1 << 20);
    let sent = 0;
    const pump = (): void => {
      while (sent < total) {
        const start = sent % block.length;
        const end = Math.min(block.length, start + total - sent);
        const written = near.connection.write(block, start, end);
        expect(written).toBeGreaterThanOrEqual(0);
        sent += written;
        if (start + written < end) return;
      }
      near.connection.finish();
    };
    let checked = 0;
    let wrong = 0;
    near.connection.events = Object.assign(new Recorder(), { onDrain: pump });
    far.connection.events = Object.assign(new Recorder(), {
      onData(bytes: Uint8Array) {
        for (let i = 0; i < bytes.length; i += 997) {
          if (bytes[i] !== block[(checked + i) % block.length]) wrong++;
        }
        checked += bytes.length;
        far.connection.pause(); // reads in fits and starts
        setImmediate(() => far.connection.resume());
      },
      onFinish: () => far.onFinish(),
    });
    far.connection.pause();
    pump();
    await settle();
    const taken = sent;
    expect(taken).toBeLessThan(16_000_000);
    await settle();
    expect(sent).toBe(taken);
    expect(checked).toBe(0);
    far.connection.resume();
    await until("all of it", () => far.finished === 1, 15_000);
    expect([checked, sent, wrong]).toEqual([total, total, 0]);
  });

  test("writes of nothing take nothing", async () => {
    server = serve();
    const { near } = await connectedPair(server);
    expect(near.connection.write(bytesOf("abc"), 2, 2)).toBe(0);
    near.connection.abort();
  });

  test("no data comes while paused, on either side, and pause before onOpen holds", async () => {
    server = serve(anyPort, (recorder) => recorder.connection!.pause());
    const near = dial(server.net, server.target);
    near.connection.pause();
    await until("open", () => near.opened === 1 && server.accepted.length === 1);
    const far = server.accepted[0]!;
    near.connection.write(bytesOf("to far"), 0, 6);
    far.connection!.write(bytesOf("to near"), 0, 7);
    await settle();
    expect([near.received, far.received]).toEqual([0, 0]);
    near.connection.resume();
    far.connection!.resume();
    await until("both", () => near.text === "to near" && far.text === "to far");
    near.connection.abort();
  });

  test("received bytes are private: they stay what they were", async () => {
    server = serve();
    const { near, far } = await connectedPair(server);
    const parts = Array.from({ length: 200 }, (_, i) => pattern(1000 + i));
    for (const part of parts) {
      await writeAll(near, part);
      await new Promise((resolve) => setImmediate(resolve));
    }
    near.connection.finish();
    await until("FIN", () => far.finished === 1);
    Bun.gc(true);
    expect(far.chunks.length).toBeGreaterThan(1);
    expect(Buffer.concat(far.chunks).equals(Buffer.concat(parts))).toBe(true);
  });
});

describe("connects that fail", () => {
  test("each failure has its cause, comes after connect() has returned, and once", async () => {
    server = serve();
    const refusing = closedPort();
    const stale = `${folder}/stale.sock`;
    closeFd(createListener({ ip: "", port: 0, unixPath: stale }, { backlog: 1, reusePort: false }).fd);
    const targets: readonly (readonly [Target, Cause])[] = [
      [refusing.target, Cause.Refused],
      [{ ip: "224.0.0.1", port: 80, unixPath: null }, Cause.Unreachable],
      [{ ip: "not an address", port: 80, unixPath: null }, Cause.NotFound],
      [{ ip: "", port: 0, unixPath: `${folder}/absent.sock` }, Cause.NotFound],
      [{ ip: "", port: 0, unixPath: stale }, Cause.Refused],
      [{ ip: "", port: 0, unixPath: "x".repeat(200) }, Cause.NotFound],
    ];
    await settle();
    const before = openDescriptors();
    for (const [target, cause] of targets) {
      const recorder = dial(server.net, target);
      expect(recorder.order).toEqual([]);
      expect(recorder.connection.isOpen).toBe(false);
      expect(recorder.connection.write(bytesOf("x"), 0, 1)).toBe(0);
      await until(`failure of ${JSON.stringify(target)}`, () => recorder.isClosed);
      await settle();
      expect([JSON.stringify(target), recorder.order, recorder.closes]).toEqual([
        JSON.stringify(target),
        ["close"],
        [cause],
      ]);
    }
    expect(openDescriptors()).toBe(before);
    refusing.release();
  });

  test("out of descriptors is NoResources, not a refusal", async () => {
    server = serve();
    const limit = new BigUint64Array(2);
    libc!.getrlimit(platform.rlimitNofile, limit);
    const before = limit[0]!;
    limit[0] = 3n;
    libc!.setrlimit(platform.rlimitNofile, limit);
    const recorder = dial(server.net, server.target);
    limit[0] = before;
    libc!.setrlimit(platform.rlimitNofile, limit);
    expect(recorder.order).toEqual([]);
    await until("failure", () => recorder.isClosed);
    expect(recorder.closes).toEqual([Cause.NoResources]);
  });

  test("a connect under way can be given up at once and frees its descriptor", async () => {
    server = serve();
    // One connection fills a backlog of zero; the SYNs of the others are dropped, as by a firewall.
    const full = createListener(anyPort, { backlog: 0, reusePort: false });
    const target = { ...anyPort, port: full.port };
    const first = dial(server.net, target);
    await until("the queue to fill", () => first.opened === 1);
    const before = openDescriptors();
    const waiting = Array.from({ length: 5 }, () => dial(server.net, target));
    await settle();
    expect(synSentTo(full.port)).toBe(5);
    expect(openDescriptors()).toBe(before + 5);
    for (const recorder of waiting) {
      expect(recorder.order).toEqual([]);
      recorder.connection.abort();
      expect(recorder.order).toEqual(["close"]);
      expect(recorder.closes).toEqual([Cause.Aborted]);
    }
    await settle();
    expect(synSentTo(full.port)).toBe(0);
    expect(openDescriptors()).toBe(before);
    first.connection.abort();
    closeFd(full.fd);
    await settle();
    for (const recorder of waiting) expect(recorder.order).toEqual(["close"]);
  });

  test("abort() right after connect(), also of one that has failed already, is told once as Aborted", async () => {
    server = serve();
    const targets = [server.target, { ...anyPort, ip: "224.0.0.1", port: 9 }];
    for (const target of targets) {
      const recorder = dial(server.net, target);
      recorder.connection.abort();
      expect(recorder.closes).toEqual([Cause.Aborted]);
      await settle();
      expect(recorder.order).toEqual(["close"]);
    }
  });

  test("a peer that speaks and finishes at once: onOpen still comes first", async () => {
    server = serve(anyPort, (recorder) => {
      recorder.connection!.write(bytesOf("banner"), 0, 6);
      recorder.connection!.finish();
    });
    const recorders = Array.from({ length: 50 }, () => dial(server.net, server.target));
    await until("all finished", () => recorders.every((r) => r.finished === 1));
    for (const recorder of recorders) {
      expect([recorder.order[0], recorder.opened, recorder.text]).toEqual(["open", 1, "banner"]);
      recorder.connection.close();
    }
  });
});

describe("exceptions of the layers above", () => {
  const moments = ["onOpen", "onData", "onDrain", "onFinish", "onClose"] as const;
  test.each(moments)("a throw from %s is reported and costs that connection only", async (moment) => {
    server = serve();
    const bystander = await connectedPair(server);
    const recorder = new Recorder();
    const events: ConnectionEvents = Object.assign(recorder, {
      [moment]: (cause?: Cause) => {
        if (moment === "onClose") recorder.closes.push(cause!);
        throw new Error(`thrown from ${moment}`);
      },
    });
    const connection = server.net.connect(server.target, events);
    await until("accepted", () => server.accepted.length === 2);
    const far = server.accepted[1]!;
    if (moment === "onDrain") await fillAndEmpty(connection, far);
    else {
      far.connection!.write(bytesOf("x"), 0, 1);
      far.connection!.finish();
    }
    if (moment === "onClose") {
      await until("FIN", () => recorder.finished === 1);
      connection.abort(); // must not throw
    }
    await until("the report", () => server.errors.length > 0);
    await until("the end", () => recorder.isClosed);
    expect(String(server.errors[0])).toContain(`thrown from ${moment}`);
    expect(connection.isOpen).toBe(false);
    bystander.near.connection.write(bytesOf("alive"), 0, 5);
    await until("the bystander", () => bystander.far.text === "alive");
    bystander.near.connection.abort();
  });

  async function fillAndEmpty(connection: Connection, far: Recorder): Promise<void> {
    far.connection!.pause();
    const block = new Uint8Array(1 << 20);
    await until("a full socket", () => connection.write(block, 0, block.length) < block.length);
    far.connection!.resume();
  }

  test("a throw from accept is reported and resets that client", async () => {
    let throwing = true;
    server = serve(anyPort, () => {
      if (throwing) throw new Error("thrown from accept");
    });
    const unlucky = dial(server.net, server.target);
    await until("reset", () => unlucky.isClosed);
    expect(String(server.errors[0])).toContain("thrown from accept");
    throwing = false;
    const { near, far } = await connectedPair(server);
    near.connection.write(bytesOf("fine"), 0, 4);
    await until("service", () => far.text === "fine");
    near.connection.abort();
  });
});

describe("listening", () => {
  test("while paused the kernel keeps clients waiting; resume serves them; accepted ones never notice", async () => {
    server = serve();
    const early = await connectedPair(server);
    const before = openDescriptors();
    server.listening.pause();
    server.listening.pause();
    expect(openDescriptors()).toBe(before);
    const late = dial(server.net, server.target);
    await until("the kernel's handshake", () => late.opened === 1);
    late.connection.write(bytesOf("waiting"), 0, 7);
    await settle();
    expect(server.accepted.length).toBe(1);
    early.near.connection.write(bytesOf("served"), 0, 6);
    await until("the early one", () => early.far.text === "served");
    server.listening.resume();
    server.listening.resume();
    await until("the late one", () => server.accepted[1]?.text === "waiting");
    server.listening.close();
    server.listening.close();
    server.listening.resume();
    early.far.connection.write(bytesOf("still"), 0, 5);
    await until("after the close", () => early.near.text === "still");
    const refused = dial(server.net, server.target);
    await until("refusal", () => refused.isClosed);
    expect(refused.closes).toEqual([Cause.Refused]);
    early.near.connection.abort();
    late.connection.abort();
  });

  test("resuming needs no descriptor beyond those it has", async () => {
    server = serve();
    const { near } = await connectedPair(server);
    server.listening.pause();
    const limit = new BigUint64Array(2);
    libc!.getrlimit(platform.rlimitNofile, limit);
    const before = limit[0]!;
    limit[0] = 3n;
    libc!.setrlimit(platform.rlimitNofile, limit);
    server.listening.resume();
    limit[0] = before;
    libc!.setrlimit(platform.rlimitNofile, limit);
    const next = await connectedPair(server);
    next.near.connection.abort();
    near.connection.abort();
    expect(server.errors).toEqual([]);
  });

  test("closing while paused leaves no descriptor behind", async () => {
    const before = openDescriptors();
    server = serve();
    server.listening.pause();
    server.listening.close();
    await settle();
    expect(openDescriptors()).toBe(before);
  });
});

async function dialMany(count: number): Promise<Recorder[]> {
  const before = server.accepted.length;
  const near = Array.from({ length: count }, () => dial(server.net, server.target));
  await until("all open", () => near.every((r) => r.opened === 1) && server.accepted.length === before + count);
  return near;
}

test("2000 connections, ended in every way, leave no descriptor behind", async () => {
  server = serve(anyPort, (recorder) => {
    recorder.keep = false;
  });
  const warm = await connectedPair(server);
  warm.near.connection.abort();
  await until("warm", () => warm.far.isClosed);
  const before = openDescriptors();
  for (let round = 0; round < 20; round++) {
    const first = server.accepted.length;
    const near = await dialMany(100);
    const far = server.accepted.slice(first);
    const passive: Recorder[] = [];
    for (let i = 0; i < 100; i++) {
      const active = i % 2 === 0 ? near[i]! : far[i]!;
      passive.push(i % 2 === 0 ? far[i]! : near[i]!);
      if (i % 3 === 0) active.connection!.abort();
      else if (i % 3 === 1) active.connection!.close();
      else active.connection!.finish();
    }
    await until("heard", () => passive.every((r) => r.isClosed || r.finished === 1));
    for (const r of near) r.connection!.close();
    for (const r of far) r.connection!.close();
  }
  await until("all descriptors back", () => openDescriptors() <= before);
  expect(openDescriptors()).toBe(before);
  expect(server.errors).toEqual([]);
  expect(server.accepted.every((r) => r.closes.length === 1)).toBe(true);
}, 15_000);

test("accepted connections inherit keepalive from their listener", async () => {
  server = serve();
  const listener = createListener(anyPort, { backlog: 8, reusePort: false });
  const net = createNet({ onError: () => {}, keepAliveMs: 60_000 });
  const accepted: Connection[] = [];
  const listening = net.adopt(listener.fd, listener.port, (connection) => {
    accepted.push(connection);
    return new Recorder();
  });
  const near = dial(net, { ip: "127.0.0.1", port: listener.port, unixPath: null });
  await until("accepted", () => accepted.length === 1);
  const { fd, socket } = accepted[0] as unknown as { fd: number | undefined; socket: { fd: number } };
  const descriptor = fd ?? socket.fd;
  expect(getIntOption(descriptor, platform.solSocket, platform.soKeepAlive)).toBe(1);
  expect(getIntOption(descriptor, 6, platform.tcpKeepIdle)).toBe(60);
  near.connection.abort();
  accepted[0]!.abort();
  listening.close();
});
