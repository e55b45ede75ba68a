// What random runs found, each as a scene of a few lines.

import { expect, test } from "bun:test";
import type { Welcome } from "./kernel.ts";
import { type Actor, say, Stage } from "./stage.ts";

const ok = (body: string): string => `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`;

/** Status lines and bodies of what a client got. */
function outline(text: string): readonly string[] {
  return [...text.matchAll(/HTTP\/1\.1 (\d+)[^]*?\r\n\r\n([^]*?)(?=HTTP\/1\.1|$)/g)].map(
    ([, status, body]) => `${status} ${body!.slice(0, 12).trim()}`,
  );
}

test("requests held behind the rest of a body that was answered early begin one after the other", () => {
  const welcomes: Welcome[] = ["blackhole", "accept"];
  const stage = new Stage([
    {
      welcome: () => welcomes.shift() ?? "accept",
      onText(socket, text) {
        if (!text.includes("/second")) return say(socket, ok("third"));
        say(socket, ok("second").slice(0, -3)); // the end comes when the third could have been answered
        stage.agenda.after(20, () => say(socket, "ond"));
      },
    },
  ]);
  const { ear, socket } = stage.client();
  // All of it is held while the connect hangs.
  const first = "POST /first HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n01234";
  say(socket, `${first}GET /second HTTP/1.1\r\nHost: h\r\n\r\nGET /third HTTP/1.1\r\nHost: h\r\n\r\n`);
  stage.play(500);
  expect(outline(ear.text)).toEqual(["504 504 Gateway", "200 second", "200 third"]);
  expect(stage.exchanges).toBe(0);
});

test("a request whose body is trailers alone is not repeated without them", () => {
  let heads = 0;
  const breaker: Actor = {
    onText(socket, text) {
      if (text.startsWith("PUT")) heads++;
      if (text.endsWith("X-T: 1\r\n\r\n")) socket.abort();
    },
  };
  // With a limit on bodies their coding is taken off and put on again.
  const stage = new Stage([breaker, breaker], {}, { bodyBytes: 1000 });
  const { ear, socket } = stage.client();
  say(socket, "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-T: 1\r\n\r\n");
  stage.play(100);
  expect(outline(ear.text)).toEqual(["502 502 Bad Gate"]);
  expect([heads, stage.exchanges]).toEqual([1, 0]);
});

test("a response that has come whole reaches a slow client, whatever becomes of the endpoint", () => {
  const body = "x".repeat(300_000);
  const stage = new Stage(
    [
      {
        onText(socket) {
          say(socket, ok(body));
          stage.agenda.after(50, () => socket.abort());
        },
      },
    ],
    { windowMin: 400_000, windowMax: 400_001, readMax: 50_000 },
  );
  const { ear, socket } = stage.client();
  // The client's own network holds less than the response.
  Object.assign(socket.peer!, { window: 10_000 });
  say(socket, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  socket.pause();
  stage.play(200);
  socket.resume();
  stage.play(200);
  expect(ear.text.endsWith(body)).toBe(true);
  expect(stage.exchanges).toBe(0);
});
