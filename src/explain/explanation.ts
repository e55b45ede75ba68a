// What there is to say about one request: plain data, as JSON. Who reads it: sluice explain, the admin API, route
// tests.

import type { Field } from "./message-text.ts";
import type { DescribedRequest } from "./described-request.ts";

export interface Explanation {
  readonly request: DescribedRequest;
  /** The client's address as routes see it: behind trusted proxies the one they name. "" = it has none. */
  readonly client: string;
  readonly listener: string;
  /** What was assumed, a sentence each. */
  readonly notes: readonly string[];
  /** null = the request was refused before anybody looked at its path. */
  readonly path: PathWord | null;
  /** In order, up to the one that the request takes, or all. */
  readonly routes: readonly RouteWord[];
  /** How many more there are behind the one that it takes. */
  readonly routesBehind: number;
  /** Name of the route that it takes, or null. */
  readonly route: string | null;
  /** What else the route asks of a request or does with it, in order. */
  readonly checks: readonly CheckWord[];
  readonly outcome: Outcome;
}

export interface PathWord {
  readonly verdict: "unchanged" | "rewritten" | "refused";
  /** As routes are compared with it; as it came if it was refused. */
  readonly path: string;
  readonly query: string;
  /** Why it was refused. */
  readonly reason: string;
}

export interface RouteWord {
  readonly name: string;
  readonly takes: boolean;
  /** Why it does not take the request; "" if it does. */
  readonly reason: string;
}

export interface CheckWord {
  readonly check: string;
  /** assumed = it depends on what a dry run does not know. */
  readonly verdict: "passes" | "refuses" | "assumed";
  readonly detail: string;
}

export type Outcome =
  | ForwardOutcome
  | {
      readonly kind: "redirect";
      readonly status: number;
      readonly location: string;
      readonly fields: readonly Field[];
    }
  /** An answer of the route's own, or to a preflight of CORS. */
  | {
      readonly kind: "respond" | "preflight";
      readonly status: number;
      readonly fields: readonly Field[];
      readonly body: string;
    }
  /** An error answer; status 0 = the connection is closed without one. */
  | { readonly kind: "refused"; readonly status: number; readonly reason: string };

export interface ForwardOutcome {
  readonly kind: "forward";
  /** Pools that the request may go to; those that nothing goes to are left out. */
  readonly arms: readonly ArmWord[];
  /** Why the client is kept at the only arm that is left; "" = a draw decides, or there is but one. */
  readonly keptBy: string;
}

export interface ArmWord {
  readonly pool: string;
  readonly weight: number;
  /** Share of such requests, from 0 to 100. */
  readonly percent: number;
  readonly endpoint: EndpointWord;
  /** What the endpoint gets; null if nobody gets the request. */
  readonly sent: SentWord | null;
  /** What the client gets of an endpoint's answer besides what it says, and what it does not get. */
  readonly answer: { readonly added: readonly Field[]; readonly removed: readonly Field[] };
  /** Why nobody gets the request; null = somebody does. status 0 = it waits. */
  readonly refused: { readonly status: number; readonly reason: string } | null;
}

export interface EndpointWord {
  /** Id of the one that it is; null = one of the candidates, and which is not for certain. */
  readonly id: string | null;
  /** The one that it would be right now, by the state of the running instance; null = not known. */
  readonly now: string | null;
  /** How it is chosen. */
  readonly by: string;
  /** Those that may take it. */
  readonly candidates: readonly { readonly id: string; readonly address: string }[];
  /** Those that may not, and why. */
  readonly others: readonly { readonly id: string; readonly address: string; readonly reason: string }[];
}

export interface SentWord {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  readonly host: string;
  /** All fields as sent. */
  readonly fields: readonly Field[];
  /** Fields that the client did not send so, and fields of the client's that do not go on so. */
  readonly added: readonly Field[];
  readonly removed: readonly Field[];
}

/** The status of an answer that is not the endpoint's; null = the request is forwarded. */
export function statusOf({ outcome }: Explanation): number | null {
  if (outcome.kind !== "forward") return outcome.status;
  const refused = outcome.arms.map((arm) => arm.refused);
  return refused.every((one) => one !== null) ? (refused[0]?.status ?? null) : null;
}

/** The request comes to a route, and nothing refuses it. */
export function isServed(explanation: Explanation): boolean {
  const { outcome, route } = explanation;
  if (route === null || outcome.kind === "refused") return false;
  return outcome.kind !== "forward" || outcome.arms.some((arm) => arm.refused === null);
}
