// The HTTP check: one request on a connection of its own, judged by status and, if wished, by text in the body.

import type { Connection } from "../base/ports.ts";
import type { HealthConfig } from "../model/config.ts";
import { AnswerReader, type Verdict } from "./answer.ts";
import { runProbe, type ProbeKind, type ProbeScript } from "./probe.ts";

/** What the endpoint's log sees of a check. */
export const PROBE_USER_AGENT = "Sluice-HealthCheck";

/** The bytes of the request. Fields of the configuration take the place of the built-in ones of the same name. */
export function formatProbeRequest(settings: HealthConfig, authority: string): Uint8Array {
  const fields = new Map<string, string>([
    ["host", `Host: ${settings.host ?? authority}`],
    ["user-agent", `User-Agent: ${PROBE_USER_AGENT}`],
    ["accept", "Accept: */*"],
  ]);
  for (const [name, value] of Object.entries(settings.headers)) fields.set(name.toLowerCase(), `${name}: ${value}`);
  fields.set("connection", "Connection: close");
  const lines = [`${settings.method} ${settings.path} HTTP/1.1`, ...fields.values()];
  return new TextEncoder().encode(`${lines.join("\r\n")}\r\n\r\n`);
}

class HttpScript implements ProbeScript {
  private readonly request: Uint8Array;
  private readonly reader: AnswerReader;
  private sent = 0;

  constructor(request: Uint8Array, settings: HealthConfig) {
    this.request = request;
    this.reader = new AnswerReader(settings);
  }

  opened(connection: Connection): Verdict | null {
    this.drained(connection);
    return null;
  }

  drained(connection: Connection): void {
    if (this.sent >= this.request.length) return;
    const accepted = connection.write(this.request, this.sent, this.request.length);
    if (accepted > 0) this.sent += accepted;
  }

  data(_connection: Connection, bytes: Uint8Array): Verdict | null {
    this.reader.push(bytes);
    return this.reader.verdict;
  }

  ended(): Verdict {
    this.reader.finish();
    return this.reader.verdict!;
  }

  isComplete(): boolean {
    return this.reader.complete;
  }
}

export const probeHttp: ProbeKind = (env, target, authority, settings, done) =>
  runProbe(env, target, settings.timeoutMs, new HttpScript(formatProbeRequest(settings, authority), settings), done);
