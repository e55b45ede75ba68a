// Any bytes as a YAML configuration: either a Config or at least one error, every mistake with a place in the text,
// nothing thrown, and the same answer each time.

import type { FuzzTarget } from "../../../tools/fuzz.ts";
import { diagnosticsMax } from "../../base/limits.ts";
import { hasErrors, type Diagnostic } from "../../model/diagnostic.ts";
import { loadText } from "../load.ts";

const seeds: readonly string[] = [
  `workers: 4
user: www-data:www-data
admin: { bind: "[::1]:9901", token: a-long-enough-secret }
accessLog: { format: "{time} {status}", file: /var/log/sluice.log }
log: { level: warn }
timeouts: { drain: 2m }
listeners:
  web:
    bind: [0.0.0.0:8080, "[::1]:8080", unix:/run/sluice.sock]
    protocol: http
    trustedProxies: [10.0.0.0/8, "fd00::/8"]
    via: edge-1
    timeouts: { requestHead: 5s, idle: 1m, body: 30s, write: 1500ms }
    limits: { connections: 500, headBytes: 16k, headers: 50, bodyBytes: 8m, requests: 1000 }
    routes:
      - forward: users
        timeouts: { connect: 1s, send: 10s, response: 20s, total: 1h, tunnel: 1d }
`,
  `listeners: { web: { bind: 127.0.0.1:80, forward: users } }
pools:
  users:
    balance: { by: consistent-hash, key: "header:X-User", load: 150% }
    endpoints:
      - 10.0.2.10:3001
      - { address: "[2001:db8::1]:3001", id: u2, weight: 3, backup: true, maxConnections: 200, admin: drain }
      - App.Internal:80
      - unix:/run/app.sock
    health:
      protocol: http
      path: /ready?full=1
      headers: { x-probe: "1" }
      expect: { status: [200-204, 301], body: ok }
    passive: off
    slowStart: 30s
    keepAlive: { connections: 0, idle: 5s, requests: unlimited }
    queue: { size: 0, timeout: 250ms }
    resolve: { min: 1s, max: 30s }
`,
  `a: &a [x, *b]
b: &b { ? "k" : !!str 1, <<: *a, "k": 'two' }
listeners: { web: { bind: 8080, forwrd: usr, timeouts: { idle: 5 }, limits: { headBytes: 9g } } }
pools: [ { endpoints: ~ }, | ]
`,
  `%YAML 1.2
---
listeners: # comment
  web:
    bind: >-
      127.0.0.1:80
    forward: |-
      users
pools: {users: {endpoints: [a:1, b:2],},}
...
`,
];

const suspicious = /Invalid |undefined|\[object|NaN|zod/;

function check(d: Diagnostic, lines: readonly string[]): void {
  const where = `${d.at.line}:${d.at.column} ${d.path}: ${d.message}`;
  const line = lines[d.at.line - 1];
  if (line === undefined) throw new Error(`no such line: ${where}`);
  if (d.at.column < 1 || d.at.column > line.length + 1) throw new Error(`no such column: ${where}`);
  if (d.message === "") throw new Error(`empty message: ${where}`);
  // What was found is quoted from the input, and may say anything.
  const own = d.message.replace(/(found|called|key|placeholder|alias|than) .*/s, "").replace(/".*"/s, "");
  if (suspicious.test(own)) throw new Error(`not our words: ${where}`);
}

export const target: FuzzTarget = {
  name: "config-yaml",
  seeds: seeds.map((text) => new TextEncoder().encode(text)),
  run(input) {
    const text = new TextDecoder().decode(input);
    const { config, diagnostics } = loadText(text, "fuzz.yaml");
    if ((config === null) !== hasErrors(diagnostics)) throw new Error("a Config and an error, or neither");
    if (diagnostics.length > diagnosticsMax) throw new Error(`${diagnostics.length} diagnostics`);
    const lines = text.replace(/^\uFEFF/, "").split("\n");
    for (const d of diagnostics) check(d, lines);
    const again = loadText(text, "fuzz.yaml");
    if (JSON.stringify(again.config) !== JSON.stringify(config)) throw new Error("loading twice gives two results");
  },
};
