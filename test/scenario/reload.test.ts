// A reload closes nothing that it does not concern: a hundred of them under load, beside idle keep-alive connections
// and open WebSockets, fail no request and close none of those.

import { expect, test } from "bun:test";
import { lacks } from "../support/needs.ts";
import { connect, type RawClient, requestBytes } from "./lib/client.ts";
import { startOrigin } from "./lib/origin.ts";
import { startSluice } from "./lib/sluice.ts";
import { startLoad } from "./lib/tool.ts";
import { openWebSocket, type WebSocketClient } from "./lib/websocket-client.ts";

const reloads = 100;
const idleConnections = 1000;
const webSockets = 100;

test.skipIf(lacks("wrk"))(
  `${reloads} reloads under load close none of ${idleConnections} idle connections and ${webSockets} WebSockets`,
  async () => {
    await using origin = startOrigin({ name: "a" });
    // Each reload changes something else in the file: a weight, a timeout, a pool that nobody uses yet.
    const yaml = (n: number): string => `
workers: 2
accessLog: off
listeners:
  web:
    bind: "127.0.0.1:0"
    protocol: http
    timeouts: { idle: 10m }
    routes: [ { forward: app, timeouts: { response: ${60 + (n % 7)}s } } ]
  other${n % 2}: { bind: "127.0.0.1:0", protocol: http, forward: spare }
pools:
  app: { balance: round-robin, endpoints: [ { address: "${origin.address}", weight: ${1 + (n % 5)} } ] }
  spare: { endpoints: [ "${origin.address}" ], queue: { size: ${100 + n} } }
`;
    await using sluice = await startSluice(yaml(0));
    const address = sluice.address("web");
    const idle: RawClient[] = [];
    const sockets: WebSocketClient[] = [];
    try {
      for (let i = 0; i < idleConnections; i++) {
        const client = await connect(address);
        idle.push(client);
        await client.send(requestBytes(address, { path: "/ok" }));
        expect((await client.read()).status).toBe(200);
      }
      for (let i = 0; i < webSockets; i++) sockets.push(await openWebSocket(`ws://${address}/echo`));
      using load = startLoad({ url: `http://${address}/ok`, connections: 16, seconds: 12 });
      for (let n = 1; n <= reloads; n++) {
        const answer = await sluice.reload(yaml(n));
        if (answer.status !== 200) throw new Error(`reload ${n}: ${answer.status} ${answer.text}`);
      }
      const report = await load.report;
      console.log(`${reloads} reloads: ${report.requests} requests answered, ${report.errors} failed`);
      expect(report.errors).toBe(0);
      expect(idle.filter((client) => client.ending() !== null).length).toBe(0);
      expect(sockets.filter((socket) => !socket.isOpen()).length).toBe(0);
      for (const [i, socket] of sockets.entries()) expect(await socket.echo(`hello ${i}`)).toBe(`hello ${i}`);
      for (const client of idle) {
        await client.send(requestBytes(address, { path: "/ok" }));
        expect((await client.read()).status).toBe(200);
      }
    } finally {
      for (const client of idle) client.close();
      for (const socket of sockets) socket[Symbol.dispose]();
    }
  },
  120_000,
);
