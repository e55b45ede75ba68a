// Listening sockets by address and worker: what a reload opens, keeps and closes.

import { beforeEach, expect, test } from "bun:test";
import type { BindAddress, ListenerConfig } from "../model/config.ts";
import { FakeHost } from "./fakes.ts";
import { SocketBook } from "./socket-book.ts";

let host: FakeHost;
let book: SocketBook;

beforeEach(() => {
  host = new FakeHost();
  book = new SocketBook(host);
});

function listener(name: string, ...places: string[]): ListenerConfig {
  const bind: BindAddress[] = places.map((place) => {
    if (place.startsWith("/")) return { ip: "", port: 0, unixPath: place };
    const [ip = "", port] = place.split(":");
    return { ip, port: Number(port), unixPath: null };
  });
  return { name, bind } as unknown as ListenerConfig;
}

function apply(workers: number, ...listeners: ListenerConfig[]): void {
  book.commit(book.propose(listeners, workers))();
}

test("one shared socket per worker and address", () => {
  apply(3, listener("web", "1.1.1.1:80", "2.2.2.2:80"));
  expect(host.opened).toBe("3x 1.1.1.1:80 shared, 3x 2.2.2.2:80 shared");
});

test("an address that somebody else has is refused, and nothing stays open", () => {
  host.taken.add("2.2.2.2:80");
  expect(() => book.propose([listener("web", "1.1.1.1:80", "2.2.2.2:80")], 2)).toThrow("2.2.2.2:80");
  expect(host.opened).toBe("");
});

test("port 0 is the same port for every worker, and stays so", () => {
  apply(2, listener("web", "1.1.1.1:0"));
  expect(host.opened).toBe("2x 1.1.1.1:40001 shared");
  apply(2, listener("web", "1.1.1.1:0"), listener("more", "1.1.1.1:0"));
  expect(host.opened).toBe("2x 1.1.1.1:40001 shared, 2x 1.1.1.1:40002 shared");
  expect(book.pairings[0]!.bound.address.port).toBe(40_001);
});

test("a unix socket has one descriptor for all, and its file goes with it", () => {
  apply(3, listener("web", "/run/a.sock"));
  expect(host.opened).toBe("1x /run/a.sock alone");
  expect(book.pairings[0]!.bound.fds.length).toBe(3);
  apply(3);
  expect(host.opened).toBe("");
  expect(host.removed).toEqual(["/run/a.sock"]);
});

test("what stays keeps its sockets, what goes is closed only afterwards", () => {
  apply(2, listener("web", "1.1.1.1:80"), listener("old", "1.1.1.1:81"));
  const before = book.pairings[0]!.bound.fds.join();
  const proposal = book.propose([listener("renamed", "1.1.1.1:80"), listener("new", "1.1.1.1:82")], 2);
  const release = book.commit(proposal);
  expect(host.opened).toContain("2x 1.1.1.1:81 shared");
  release();
  expect(host.opened).toBe("2x 1.1.1.1:80 shared, 2x 1.1.1.1:82 shared");
  expect(book.pairings[0]!.bound.fds.join()).toBe(before);
});

test("more workers need more sockets; with fewer they stay, for clients wait in their queues", () => {
  apply(1, listener("web", "1.1.1.1:80"));
  apply(3, listener("web", "1.1.1.1:80"));
  expect(host.opened).toBe("3x 1.1.1.1:80 shared");
  for (const workers of [2, 1, 3]) {
    apply(workers, listener("web", "1.1.1.1:80"));
    expect(host.opened).toBe("3x 1.1.1.1:80 shared");
  }
  apply(1);
  expect(host.opened).toBe("");
});

test("a proposal that is not applied leaves everything as it was", () => {
  apply(1, listener("web", "1.1.1.1:80"), listener("sock", "/run/a.sock"));
  const proposal = book.propose([listener("web", "1.1.1.1:80", "0.0.0.0:80"), listener("s2", "/run/b.sock")], 4);
  expect(host.opened).toContain("4x 1.1.1.1:80");
  book.rollback(proposal);
  expect(host.opened).toBe("1x /run/a.sock alone, 1x 1.1.1.1:80 shared");
  expect(book.pairings[0]!.bound.fds.length).toBe(1);
});

test("closeAll closes everything", () => {
  apply(2, listener("web", "1.1.1.1:80"), listener("sock", "/run/a.sock"));
  book.closeAll();
  expect(host.opened).toBe("");
});
