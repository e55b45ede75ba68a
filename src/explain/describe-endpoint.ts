// Which endpoint of a pool gets a request, and how that is decided; asked of the pool that the dry run has used.

import { formatAddress } from "../config/address.ts";
import { hashOf } from "../http/hash-key.ts";
import type { PoolRuntime } from "../http/pool-runtime.ts";
import type { PoolConfig } from "../model/config.ts";
import { StickyMark } from "../pool/stickiness/stickiness.ts";
import { Roster } from "../pool/roster.ts";
import type { Columns } from "../stats/columns.ts";
import { adminWord } from "../stats/words.ts";
import type { Head } from "../wire/head.ts";
import { keyText } from "./describe-checks.ts";
import type { EndpointWord } from "./explanation.ts";

/** The request as the pool sees it, and the state it is in. */
export interface EndpointFacts {
  readonly head: Head;
  /** The client's address as text, "unix:" = none. */
  readonly client: string;
  /** Id of the endpoint that the client belongs to, looked up before the dry run; "" = none. */
  readonly preferred: string;
  readonly columns: Columns;
  readonly nowMs: number;
  /** The id that the dry run came to; "" = none. */
  readonly picked: string;
  /** The state is that of a running instance. */
  readonly isLive: boolean;
  /** Endpoints are found by discovery, and not known here. */
  readonly isUndiscovered: boolean;
  /** Why an endpoint takes no requests, as the running instance tells; "" = it does not say. */
  readonly reasonOf: (pool: string, id: string) => string;
}

/** Id of the endpoint that the pool keeps this client at, whether or not it may be used now; "" = none. */
export function preferredId({ pool, stickiness }: PoolRuntime, head: Head, address: Uint8Array | null): string {
  const index = stickiness === null ? -1 : stickiness.recall(new StickyMark(), head, address);
  return index < 0 ? "" : pool.members[index]!.config.id;
}

export function describeEndpoint(runtime: PoolRuntime, facts: EndpointFacts): EndpointWord {
  const { pool, name } = runtime;
  const { columns, nowMs, picked, isLive } = facts;
  const roster = new Roster(pool.config, pool.members, columns);
  roster.update(nowMs);
  const hasPrimaries = roster.primaries.usable.includes(1);
  const usable = hasPrimaries ? roster.primaries.usable : roster.backups.usable;
  const known = pool.members.map(({ config, row }, i) => {
    const { id, host, port, unixPath, backup } = config;
    const reason =
      usable[i] === 1 ? "" : facts.reasonOf(name, id) || reasonAtRest(columns, row, backup && hasPrimaries);
    return { id, address: formatAddress(host, port, unixPath), reason };
  });
  const listed = facts.isUndiscovered ? known.filter(({ id }) => id !== "?") : known;
  const candidates = listed.filter(({ reason }) => reason === "").map(({ id, address }) => ({ id, address }));
  const others = listed.filter(({ reason }) => reason !== "");
  const choice = howChosen(runtime, facts, candidates.length);
  const isCertain = choice.isCertain && picked !== "" && !facts.isUndiscovered;
  const by = facts.isUndiscovered ? `${choice.by}, among those that discovery finds` : choice.by;
  return { id: isCertain ? picked : null, now: isLive && picked !== "" ? picked : null, by, candidates, others };
}

/** Without a running instance there is only what is written. */
function reasonAtRest(columns: Columns, row: number, isSpare: boolean): string {
  const admin = adminWord(columns.admin[row]!);
  if (admin !== "ready") return `operator: ${admin}`;
  if (columns.weight[row] === 0) return "weight 0";
  return isSpare ? "backup: only when no other takes requests" : "not in use";
}

function howChosen(
  { pool }: PoolRuntime,
  { head, client, preferred, picked }: EndpointFacts,
  candidates: number,
): { readonly by: string; readonly isCertain: boolean } {
  const { balance, sticky } = pool.config;
  if (sticky !== null && preferred !== "" && preferred === picked) {
    return { by: `kept there by ${stickyText(sticky)}`, isCertain: true };
  }
  const kept = sticky === null ? "" : `, and kept there by ${stickyText(sticky)} from then on`;
  if (candidates === 1) return { by: `the only one that takes requests${kept}`, isCertain: true };
  const { hashKey } = pool;
  if (hashKey === null) return { by: `${balance.by}${kept}`, isCertain: false };
  const key = hashKey.from === "source" ? `the address ${client}` : keyText(hashKey);
  if (hashOf(hashKey, head, client) === 0) {
    return { by: `${balance.by}, but the request has no ${keyText(hashKey)}: by turns${kept}`, isCertain: false };
  }
  const bound = balance.by === "consistent-hash" && balance.loadPercent !== 0 ? balance.loadPercent : 0;
  const unless = bound === 0 ? "" : `, unless it has more than ${bound}% of its share`;
  return { by: `${balance.by} of ${key}${unless}${kept}`, isCertain: true };
}

function stickyText(sticky: NonNullable<PoolConfig["sticky"]>): string {
  switch (sticky.by) {
    case "cookie":
      return `the cookie ${sticky.cookie.name}`;
    case "app-cookie":
      return `the application's cookie ${sticky.name}`;
    case "source-ip":
      return "its address";
  }
}
