// Random connections between the reactor's network and Bun's, straight and through a relay that moves bytes in every
// way there is: bytes in = bytes out, a peer's end is only heard behind all that it sent, every connection ends exactly
// once, nothing is heard before the beginning or behind the end, and no descriptor is left over. SLUICE_RUNS and
// SLUICE_SEED make it longer and repeat it.

import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { keep } from "../base/lending.ts";
import { Cause } from "../base/ports.ts";
import type { Connection, ConnectionEvents, Listening, Net, Rng, Target } from "../base/ports.ts";
import { seededRng } from "../base/seeded-rng.ts";
import { createBunNet } from "./bun-net.ts";
import { createListener } from "./listen-socket.ts";
import { createNet } from "./net.ts";
import { nextTurn } from "./reactor.ts";
import { splicer } from "./splice.ts";
import { anyPort, hasIpv6, openDescriptors, until } from "./test-kit.ts";

const firstSeed = Number(process.env["SLUICE_SEED"] ?? Math.floor(Math.random() * 1e9));
const runs = Number(process.env["SLUICE_RUNS"] ?? 2);
const folder = mkdtempSync(`${tmpdir()}/sluice-stress-`);
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

const pairsMax = 60;
const steps = 1500;
/** What is sent: no two places of it look alike, nor do two streams. */
const text = new Uint8Array(new ArrayBuffer(1 << 20));
for (let i = 0, x = 1; i < text.length; i++) text[i] = (x = (Math.imul(x, 1103515245) + 12345) | 0) >>> 16;

class Trouble {
  /** Nobody does anything of its own accord any more. */
  isQuiet = false;
  readonly found: string[] = [];
  say(what: string): void {
    if (this.found.length < 10) this.found.push(what);
  }
}

/** One end of a stream in each direction; what it sends begins at its own place of the text. */
class End implements ConnectionEvents {
  connection: Connection | null = null;
  peer: End | null = null;
  sent = 0;
  received = 0;
  opened = false;
  heardFin = false;
  finished = false;
  /** We have closed or aborted it. */
  ours = false;
  paused = false;
  receivedPaused = 0;
  closes: Cause[] = [];
  readonly name: string;
  readonly offset: number;
  private readonly rng: Rng;
  private readonly trouble: Trouble;

  constructor(name: string, rng: Rng, trouble: Trouble, dials: boolean) {
    this.name = name;
    this.rng = rng;
    this.trouble = trouble;
    this.opened = !dials;
    this.offset = rng.below(text.length);
  }

  private get onReactor(): boolean {
    return this.connection?.constructor.name === "EpollConnection";
  }

  get isAlive(): boolean {
    return this.connection !== null && this.opened && this.closes.length === 0;
  }

  onOpen(): void {
    this.must(!this.opened, "opened twice");
    this.opened = true;
  }
  onData(bytes: Uint8Array): void {
    this.hears("data");
    this.must(!this.heardFin, "data behind FIN");
    this.must(bytes.length > 0, "no data");
    if (this.paused) this.receivedPaused += bytes.length;
    const from = this.peer!.offset + this.received;
    let wrong = 0;
    for (let i = 0; i < bytes.length; i++) if (bytes[i] !== text[(from + i) % text.length]) wrong++;
    this.must(wrong === 0, `${wrong} wrong bytes at ${this.received}`);
    this.received += bytes.length;
    if (this.rng.below(20) === 0) this.act();
  }
  onDrain(): void {
    this.hears("drain");
    if (this.rng.below(4) === 0) this.act();
  }
  onFinish(): void {
    this.hears("FIN");
    this.must(!this.heardFin, "two FINs");
    this.heardFin = true;
    this.checkWhole();
    if (this.rng.below(4) === 0) this.act();
  }
  onClose(cause: Cause): void {
    this.closes.push(cause);
    this.must(this.closes.length === 1, "closed twice");
    if (this.connection !== null) this.must(!this.connection.isOpen, "closed and open");
    if (cause === Cause.None && !this.ours) this.checkWhole();
    // Bun's sockets bring what is left when both sides have finished, paused or not.
    if (this.receivedPaused > 0 && !this.ours && this.onReactor) this.must(cause !== Cause.None, "data while paused");
    if (this.rng.below(4) === 0) this.connection?.abort();
  }

  private hears(what: string): void {
    this.must(this.opened, `${what} before open`);
    this.must(this.closes.length === 0, `${what} behind the end`);
  }

  /**
   * The peer's end has been heard: then all that it sent has been, too. But unix sockets know no reset: an abort looks
   * like an end.
   */
  private checkWhole(): void {
    const { sent, ours } = this.peer!;
    if ((ours || this.ours) && this.connection!.remoteAddress === "unix:") return;
    this.must(this.received === sent, `received ${this.received} of ${sent} and then the end`);
  }

  must(holds: boolean, what: string): void {
    if (!holds) this.trouble.say(`${this.name} (${this.connection?.constructor.name}): ${what}`);
  }

  act(): void {
    const { connection, rng } = this;
    if (connection === null || !this.isAlive || this.trouble.isQuiet) return;
    const what = rng.below(100);
    if (what < 60) this.write(rng.below(10) === 0 ? rng.below(400_000) : rng.below(3000));
    else if (what < 72) this.pause(true);
    else if (what < 94) this.pause(false);
    else if (what < 97) this.finish();
    else if (what < 98) this.end(() => connection.close());
    else if (what < 99) this.end(() => connection.abort());
    else connection.receiveMax = 1 + rng.below(128 * 1024);
  }

  write(length: number): void {
    const from = (this.offset + this.sent) % text.length;
    const count = this.connection!.write(text, from, Math.min(text.length, from + length));
    if (count > 0) this.sent += count;
  }

  pause(paused: boolean): void {
    this.paused = paused;
    if (paused) this.connection!.pause();
    else this.connection!.resume();
  }

  finish(): void {
    this.finished = true;
    this.connection!.finish();
  }

  end(how: () => void): void {
    this.ours = true;
    how();
    this.must(this.closes.length === 1, "no onClose from within");
  }
}

/** One direction through a relay, in whatever way bytes can be moved. */
class Half implements ConnectionEvents {
  other: Half | null = null;
  connection: Connection | null = null;
  closes = 0;
  opened: boolean;
  private rest: Uint8Array | null = null;
  private finished = false;
  private readonly rng: Rng;
  private readonly memory = new Uint8Array(64 * 1024);

  constructor(rng: Rng, dials: boolean) {
    this.rng = rng;
    this.opened = !dials;
  }

  onOpen(): void {
    this.opened = true;
    this.other!.connection?.resume();
  }
  onReadable(): boolean {
    const { rng, memory } = this;
    const source = this.connection!;
    const sink = this.other!.connection!;
    const how = this.rest === null ? rng.below(3) : 2;
    if (how === 2) return false;
    if (how === 1) {
      const count = source.read(memory, 1 + rng.below(memory.length));
      if (count > 0) this.pass(memory.slice(), 0, count);
      return count > 0;
    }
    const { taken, rest } = source.moveTo(sink, 1 + rng.below(200_000));
    if (rest !== null) this.hold(rest);
    return taken > 0;
  }
  onData(bytes: Uint8Array): void {
    this.pass(bytes, 0, bytes.length);
  }
  private pass(bytes: Uint8Array, start: number, end: number): void {
    if (this.rest !== null) {
      this.hold(Buffer.concat([this.rest, bytes.subarray(start, end)]));
      return;
    }
    const count = this.other!.connection!.write(bytes, start, end);
    if (count >= 0 && count < end - start) this.hold(keep(bytes, start + count, end));
  }
  private hold(rest: Uint8Array): void {
    this.rest = rest;
    this.connection!.pause();
  }
  onDrain(): void {
    this.other!.flush();
  }
  private flush(): void {
    const { rest } = this;
    if (rest !== null) {
      const count = Math.max(0, this.other!.connection!.write(rest, 0, rest.length));
      this.rest = count === rest.length ? null : rest.subarray(count);
    }
    if (this.rest !== null) return;
    if (this.finished) this.other!.connection!.finish();
    else this.connection!.resume();
  }
  onFinish(): void {
    this.finished = true;
    this.flush();
  }
  onClose(cause: Cause): void {
    this.closes++;
    if (cause !== Cause.None || !this.opened) this.other!.connection?.abort();
    else this.onFinish(); // our FIN had gone before
  }
}

/** A place to connect to. One connection at a time is under way to each, so that both ends are known. */
interface Site {
  readonly net: Net;
  readonly listening: Listening;
  readonly target: Target;
  expected: End | Half | null;
}

class World {
  readonly ends: End[] = [];
  readonly halves: Half[] = [];
  readonly trouble = new Trouble();
  private readonly sites: Site[] = [];
  private readonly nets: readonly Net[];
  private readonly rng: Rng;

  constructor(seed: number) {
    this.rng = seededRng(seed);
    const options = { onError: (error: unknown) => this.trouble.say(String(error)), keepAliveMs: 0 };
    this.nets = [createNet(options), createNet(options), createBunNet(options)];
    for (const [i, net] of this.nets.entries()) {
      this.listen(net, anyPort);
      this.listen(net, { ip: "", port: 0, unixPath: `${folder}/${seed}-${i}` });
      if (hasIpv6) this.listen(net, { ip: "::1", port: 0, unixPath: null });
    }
  }

  private listen(net: Net, bind: Target): void {
    const socket = createListener(bind, { backlog: 512, reusePort: false });
    const listening = net.adopt(socket.fd, socket.port, (connection) => {
      const end = site.expected!;
      site.expected = null;
      end.connection = connection;
      return end;
    });
    const site: Site = { net, listening, target: { ...bind, port: socket.port }, expected: null };
    this.sites.push(site);
  }

  /** Connects two ends, perhaps by way of a relay on the reactor. */
  async connect(count: number): Promise<void> {
    while (this.ends.length < 2 * count) {
      const free = this.sites.filter(() => this.rng.below(3) > 0);
      while (free.length > 0) this.join(free);
      await until("connections", () => this.isConnected);
    }
  }

  private get isConnected(): boolean {
    return [...this.ends, ...this.halves].every((end) => end.connection !== null && end.opened);
  }

  private join(free: Site[]): void {
    const { rng, trouble, ends, halves } = this;
    const name = `pair ${ends.length / 2}`;
    const near = new End(`${name} near`, rng, trouble, true);
    const far = new End(`${name} far`, rng, trouble, false);
    near.peer = far;
    far.peer = near;
    ends.push(near, far);
    let from: End | Half = near;
    const site = free.pop()!;
    site.expected = far;
    const middle = free.findIndex(({ net }) => net !== this.nets[2]);
    if (middle >= 0 && rng.below(2) === 0) {
      const [relay] = free.splice(middle, 1);
      const onward = new Half(rng, true);
      const inward = new Half(rng, false);
      inward.other = onward;
      onward.other = inward;
      relay!.expected = inward;
      halves.push(onward, inward);
      near.connection = this.dialer().connect(relay!.target, near);
      from = onward;
    }
    const net = from instanceof Half ? this.nets[rng.below(2)]! : this.dialer();
    from.connection = net.connect(site.target, from);
  }

  private dialer(): Net {
    return this.nets[this.rng.below(this.nets.length)]!;
  }

  async live(): Promise<void> {
    for (let step = 0; step < steps; step++) {
      this.ends[this.rng.below(this.ends.length)]!.act();
      if (this.rng.below(8) === 0) await nextTurn();
    }
  }

  /** Ends in good order what has not ended yet. */
  async die(): Promise<void> {
    this.trouble.isQuiet = true;
    for (const end of this.ends) {
      if (!end.isAlive) continue;
      end.pause(false);
      end.finish();
    }
    await until("the ends", () => this.ends.every((end) => end.closes.length > 0));
    await until("the relays", () => this.halves.every((half) => half.closes > 0));
    for (const { listening } of this.sites) listening.close();
  }
}

test("random connections between two networks", async () => {
  splicer(); // its pipe stays open
  for (let seed = firstSeed; seed < firstSeed + runs; seed++) {
    const warm = new World(seed);
    await warm.connect(1);
    await warm.die();
    const before = openDescriptors();
    const world = new World(seed);
    await world.connect(pairsMax);
    await world.live();
    await world.die();
    await until("all descriptors back", () => openDescriptors() <= before);
    expect([`seed ${seed}`, ...world.trouble.found]).toEqual([`seed ${seed}`]);
    expect(world.halves.every((half) => half.closes === 1)).toBe(true);
  }
}, 600_000);
