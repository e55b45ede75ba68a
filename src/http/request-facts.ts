// The request that is being looked at right now, as routers and templates want it: its head, its path in the form that
// matching and forwarding share, and whatever else a placeholder may ask for. One for the process: nothing that uses it
// waits.

import { Scratch } from "../base/bytes.ts";
import { putIsoTime } from "../base/date-text.ts";
import { parseIp } from "../base/ip.ts";
import { MatchInput } from "../route/match-input.ts";
import { isRefused, type PathRules, PathVerdict, preparePath } from "../route/path.ts";
import { type Head, HeadFlag } from "../wire/head.ts";
import type { Exchange } from "./exchange.ts";
import { clientAddress, clientScheme } from "./forwarded.ts";
import type { AskedFact, TemplateFacts } from "./template.ts";

const target = new Scratch(1024);
/** $0 to $9. */
const groups = new Int32Array(20);

class RequestFacts implements TemplateFacts {
  readonly input = new MatchInput();
  private current: Exchange | null = null;
  private parsed: Head | null = null;

  get head(): Head {
    return this.parsed!;
  }

  /**
   * Looks at a request: brings its path into the form that the rules want, which the head forwards from then on. False
   * if the path is refused (400).
   */
  open(exchange: Exchange, head: Head, rules: PathRules): boolean {
    this.current = exchange;
    this.parsed = head;
    const verdict = preparePath(head, rules, target, this.input);
    if (isRefused(verdict)) return false;
    if (verdict === PathVerdict.Rewritten) {
      head.newTarget = target;
      head.flags |= HeadFlag.NewTarget;
    }
    return true;
  }

  /** What the route's expression has captured; computed when a template asks. */
  get captures(): Int32Array | null {
    const { path, pathStart, pathEnd } = this.input;
    for (const regex of this.current!.route?.captures ?? []) {
      groups.fill(-1);
      if (regex.exec(path, pathStart, pathEnd, groups)) return groups;
    }
    return null;
  }

  putFact(fact: AskedFact, out: Scratch): void {
    const x = this.current!;
    const client = x.client!;
    switch (fact) {
      case "source":
        out.putText(clientAddress(client, this.head, x.listener));
        break;
      case "sourcePort":
        if (client.connection.remotePort !== 0) out.putDecimal(client.connection.remotePort);
        break;
      case "requestId":
        out.putText(x.requestIdText(this.head)); // not by another parse: it would undo what was done to this one
        break;
      case "scheme":
        out.putText(clientScheme(client, this.head, x.listener));
        break;
      case "port":
        if (client.localPort !== 0) out.putDecimal(client.localPort);
        break;
      case "listener":
        putUtf8(out, x.listener.name);
        break;
      case "route":
        putUtf8(out, x.route?.name ?? "");
        break;
      case "pool":
        putUtf8(out, x.attempts.pool?.name ?? "");
        break;
      case "endpoint":
        putUtf8(out, x.attempts.endpointId);
        break;
      case "time":
        putIsoTime(out, x.listener.clock.wallMs());
        break;
      default: // of TLS: this is a plain connection
    }
  }
}

const utf8 = new TextEncoder();

function putUtf8(out: Scratch, text: string): void {
  out.putAll(utf8.encode(text));
}

export const requestFacts = new RequestFacts();

/** The client's address in bytes, as trusted proxies tell it; null for unix sockets. */
export function addressOf(exchange: Exchange, head: Head): Uint8Array | null {
  const client = exchange.client!;
  if (exchange.listener.trustedProxies.length > 0) return parseIp(clientAddress(client, head, exchange.listener));
  client.peer ??= { address: parseIp(client.connection.remoteAddress) };
  return client.peer.address;
}
