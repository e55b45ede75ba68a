// The algorithms by name: from the configuration's words to a balancer.

import type { Rng } from "../base/ports.ts";
import type { BalanceConfig, HashKey } from "../model/config.ts";
import type { Balancer } from "./balancer.ts";
import { ConsistentHash } from "./consistent-hash.ts";
import { IpHash } from "./ip-hash.ts";
import { LeastConnections } from "./least-connections.ts";
import { LeastResponseTime } from "./least-response-time.ts";
import { RandomTwoChoices } from "./random-two-choices.ts";
import { RoundRobin } from "./round-robin.ts";
import { BlockRoundRobin, SmoothRoundRobin } from "./weighted-round-robin.ts";

/** A balancer for one table of exactly count endpoints. Its tableChanged() must be called before the first pick. */
export function createBalancer(config: BalanceConfig, count: number, rng: Rng): Balancer {
  switch (config.by) {
    case "round-robin":
      return new RoundRobin(count);
    case "weighted-round-robin":
      return config.order === "block" ? new BlockRoundRobin(count) : new SmoothRoundRobin(count);
    case "least-connections":
      return new LeastConnections(count);
    case "ip-hash":
      return new IpHash(count);
    case "least-response-time":
      return new LeastResponseTime(count, config.decayMs, rng);
    case "consistent-hash":
      return new ConsistentHash(count, config.loadPercent);
    case "random-two-choices":
      return new RandomTwoChoices(count, rng);
  }
}

/** What the caller must hash into PickState.hash, or null. */
export function hashKeyOf(config: BalanceConfig): HashKey | null {
  if (config.by === "ip-hash") return { from: "source", name: "" };
  return config.by === "consistent-hash" ? config.key : null;
}
