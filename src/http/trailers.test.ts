// What of trailer sections goes on.

import { expect, test } from "bun:test";
import { compileEdits } from "./header-edits.ts";
import { ListenerRig } from "./listener-rig.ts";
import { FieldNames } from "./field-names.ts";
import { Guard, Verdict } from "./guard.ts";

const edits = {
  remove: ["x-secret"],
  set: [{ name: "x-user", value: "{source}" }],
  add: [{ name: "x-more", value: "m" }],
};
const chunked = (trailers: string): string => `Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n${trailers}\r\n`;
const trailersIn = (sent: string): string => sent.slice(sent.indexOf("\r\n0\r\n") + 5);

test("what a route removes or sets goes from trailers, too; what it adds does not come", () => {
  const requestEdits = compileEdits(edits, "request");
  const responseEdits = compileEdits(edits, "response");
  const rig = new ListenerRig({ route: { requestEdits, responseEdits, decorates: true } });
  const mine = "X-Secret: s\r\nx_user: me\r\nX-Sum: 1\r\nX-More: 2\r\n";
  const client = rig.ask(`POST /a HTTP/1.1\r\nHost: h\r\n${chunked(mine)}`);
  rig.pool.latest.open();
  client.pump();
  expect(trailersIn(rig.pool.latest.sent())).toBe("X-Sum: 1\r\nX-More: 2\r\n\r\n");
  rig.pool.latest.receive(`HTTP/1.1 200 OK\r\n${chunked(mine)}`);
  expect(trailersIn(client.sent())).toBe("x_user: me\r\nX-Sum: 1\r\nX-More: 2\r\n\r\n"); // other names, in responses
});

test("nor do they tell who the client is, or what a check of the guard says of it", () => {
  const replaces = new FieldNames(["x-user"], true);
  const check = {
    check(x: { extras: unknown[] }) {
      x.extras.push({ apply() {}, replaces }, { apply() {} });
      return Verdict.Pass;
    },
  };
  const rig = new ListenerRig({ route: { guard: new Guard([check as never]) } });
  const mine =
    "X-User: me\r\nX_User: me\r\nX_Forwarded_For: 6\r\nX-Forwarded-Prefix: /p\r\nX-Real-IP: 6\r\nX-Sum: 1\r\n";
  const client = rig.ask(`POST /a HTTP/1.1\r\nHost: h\r\n${chunked(mine)}`);
  rig.pool.latest.open();
  client.pump();
  expect(trailersIn(rig.pool.latest.sent())).toBe("X-Sum: 1\r\n\r\n");
});
