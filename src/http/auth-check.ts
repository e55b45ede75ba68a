// The check that asks another service (forward-auth.ts), for the guard: it waits for the verdict, puts what the service
// says into the request, or passes the service's answer on.

import { Scratch } from "../base/bytes.ts";
import type { Head } from "../wire/head.ts";
import type { Exchange } from "./exchange.ts";
import { answerHead, AuthSays, type AuthVerdict, type ForwardAuth, type VerdictWaiter } from "./forward-auth.ts";
import { type Check, Verdict } from "./guard.ts";
import { denied } from "./refusals.ts";
import { requestFacts } from "./request-facts.ts";

const unused = new Scratch(256);

export class ForwardAuthCheck implements Check {
  readonly disturbs = true;
  private readonly auth: ForwardAuth;

  constructor(auth: ForwardAuth) {
    this.auth = auth;
  }

  check(exchange: Exchange, head: Head): Verdict {
    // What earlier checks keep from the endpoint is kept from the service, too. It hears of nothing that they add.
    for (const extra of exchange.extras) {
      unused.length = 0;
      extra.apply(head, unused);
    }
    const waiter = new Waiter(this, exchange);
    const verdict = this.auth.ask(waiter, requestFacts, exchange.generation!);
    if (verdict !== null) return this.settle(exchange, verdict);
    waiter.ticket = exchange.sleep(waiter);
    return Verdict.Wait;
  }

  settle(exchange: Exchange, verdict: AuthVerdict): Verdict {
    const { auth } = this;
    if (verdict.says === AuthSays.Pass) {
      const apply = (head: Head, added: Scratch): void => auth.apply(verdict, head, added);
      exchange.extras.push({ apply, replaces: auth.replacedNames });
      return Verdict.Pass;
    }
    if (verdict.says === AuthSays.Refuse) return exchange.deny(verdict.status, denied, null);
    return exchange.answerOwn(answerHead(verdict, exchange.method, exchange.listener.clock.wallMs()), true);
  }

  forget(waiter: VerdictWaiter): void {
    this.auth.forget(waiter);
  }
}

class Waiter implements VerdictWaiter {
  question: VerdictWaiter["question"] = null;
  ticket = -1;
  private readonly check: ForwardAuthCheck;
  private readonly exchange: Exchange;

  constructor(check: ForwardAuthCheck, exchange: Exchange) {
    this.check = check;
    this.exchange = exchange;
  }

  onVerdict(verdict: AuthVerdict): void {
    const { exchange, ticket } = this;
    if (!exchange.isAsleep(ticket)) return;
    exchange.openAgain();
    if (this.check.settle(exchange, verdict) === Verdict.Pass) exchange.wake(ticket);
  }

  /** The exchange is over. */
  forget(): void {
    this.check.forget(this);
  }
}
