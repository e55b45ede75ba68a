// Long bodies through both codecs, received and moved past the codec, to peers that take as much as they like. Whatever
// the way, the same bytes come out.

import { expect, test } from "bun:test";
import { seededRng } from "../base/seeded-rng.ts";
import { ClientRig, relay, ServerRig } from "./test-kit.ts";

/** Long enough that a part is moved whatever came with the head. */
const bulkBytes = 128 * 1024;

function longBody(length: number, seed: number): string {
  const rng = seededRng(seed);
  let text = "";
  while (text.length < length) text += `${rng.u32().toString(36)}-`;
  return text.slice(0, length);
}

/** One exchange with a long body each way. */
function exchange(moves: boolean, seed: number): void {
  const rng = seededRng(seed);
  const upload = longBody(bulkBytes * 2 + rng.below(300_000), seed + 1);
  const download = longBody(bulkBytes * 2 + rng.below(300_000), seed + 2);
  const server = new ServerRig();
  const rig = new ClientRig();
  server.connection.moves = moves;
  rig.connection.moves = moves;
  server.connection.room = rng.below(200_000);
  rig.connection.room = rng.below(200_000);
  const request = `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${upload.length}\r\n\r\n`;
  server.onNew = (seen) => {
    rig.client.onOpen();
    relay(seen, rig, request, true);
    seen.stream.forward(rig.client);
  };
  let toEndpoint = "";
  let toClient = "";
  const settle = (): void => {
    for (let quiet = 0; quiet < 3;) {
      const before = toEndpoint.length + toClient.length;
      server.connection.drain(rng.below(150_000));
      rig.connection.drain(rng.below(150_000));
      server.connection.pump();
      rig.connection.pump();
      toEndpoint += rig.connection.sent();
      toClient += server.connection.sent();
      quiet = toEndpoint.length + toClient.length === before ? quiet + 1 : 0;
    }
  };
  const all = request + upload;
  const half = Math.min(bulkBytes + rng.below(100_000), all.length - 1);
  server.connection.receive(all.slice(0, half), all.slice(half));
  settle();
  expect(toEndpoint).toEndWith(upload);
  expect(toEndpoint.length - toEndpoint.indexOf("\r\n\r\n") - 4).toBe(upload.length);
  const response = `HTTP/1.1 200 OK\r\nContent-Length: ${download.length}\r\n\r\n${download}`;
  const cut = Math.min(bulkBytes + rng.below(100_000), response.length - 1);
  rig.connection.receive(response.slice(0, cut), response.slice(cut));
  settle();
  expect(toClient).toBe(response);
  expect(rig.connection.moved > 0).toBe(moves);
  expect(server.server.isIdle).toBe(true);
  expect(rig.client.isIdle).toBe(true);
}

test.each([
  ["received", false],
  ["moved", true],
])("long bodies that are %s arrive whole", (_way, moves) => {
  for (let seed = 1; seed <= 20; seed++) exchange(moves, seed);
});

test("bytes behind a response that was moved forbid the connection's reuse", () => {
  const server = new ServerRig();
  const rig = new ClientRig();
  rig.connection.moves = true;
  const body = longBody(bulkBytes * 2, 7);
  server.onNew = (seen) => {
    rig.client.onOpen();
    relay(seen, rig, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", true);
  };
  server.connection.receive("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  const response = `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  rig.connection.receive(response.slice(0, bulkBytes + 100), response.slice(bulkBytes + 100), "HTTP/1.1 200 OK\r\n");
  expect(server.connection.sent()).toBe(response);
  expect(rig.connection.moved).toBeGreaterThan(0);
  expect(rig.connection.isOpen).toBe(false);
});
