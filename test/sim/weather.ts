// What kind of run a seed gives: how rough endpoints, clients, operators and the network are. A few named profiles, so
// that in some runs nothing may go wrong at all, and in others everything does.

import type { Dice } from "./dice.ts";
import type { NetMood } from "./kernel.ts";

export interface Deadlines {
  readonly requestHeadMs: number;
  readonly idleMs: number;
  readonly bodyMs: number;
  readonly writeMs: number;
  readonly connectMs: number;
  readonly sendMs: number;
  readonly responseMs: number;
  /** 0 = none. */
  readonly totalMs: number;
  readonly tunnelMs: number;
  readonly queueMs: number;
  readonly keepAliveMs: number;
}

/** Shares are probabilities from 0 to 1, counts are for the whole run. */
export interface Weather {
  readonly profile: string;
  readonly workers: number;
  readonly seconds: number;
  readonly connections: number;
  /** Every pool keeps two endpoints that are always there, with unlimited room. */
  readonly solid: boolean;
  /** Responses that go wrong. */
  readonly faults: number;
  /** Connections that an endpoint closes without announcement after a response. */
  readonly idleCloses: number;
  /** Client connections that misbehave. */
  readonly rude: number;
  /** Client connections that send what no request is. */
  readonly malformed: number;
  /** Pieces of anything that come with a pause. */
  readonly slow: number;
  readonly upgrades: number;
  readonly early: number;
  readonly reloads: number;
  /** Changes of health, operator's words and weights. */
  readonly flips: number;
  readonly deaths: number;
  /** Endpoints with a limit on requests in progress. */
  readonly limited: boolean;
  /** Responses take a while, so that others wait for a place. */
  readonly crowded: boolean;
  /** Client connections the descriptor limit allows; 0 = no limit. */
  readonly connectionsMax: number;
  readonly logs: boolean;
  /** Much at once: as a fast network is to long bodies. */
  readonly bulk: boolean;
  readonly bodyMax: number;
  /** Limit on request bodies; 0 = none. */
  readonly bodyLimit: number;
  readonly requestsPerConnection: number;
  readonly trusted: boolean;
  readonly via: boolean;
  /** The run ends with a drain while requests are under way. */
  readonly drains: boolean;
  /** Routes and pools have all they can have (policies.ts). */
  readonly policies: boolean;
  readonly deadlines: Deadlines;
  readonly net: NetMood;
}

type Rough = Pick<
  Weather,
  "profile" | "solid" | "faults" | "idleCloses" | "rude" | "malformed" | "reloads" | "flips" | "deaths"
> & {
  readonly limited: boolean;
  readonly crowded: boolean;
  readonly total: boolean;
  readonly bulk: boolean;
  readonly policies?: boolean;
};

const clear: Rough = {
  profile: "calm",
  solid: true,
  faults: 0,
  idleCloses: 0,
  rude: 0,
  malformed: 0,
  reloads: 0,
  flips: 0,
  deaths: 0,
  limited: false,
  crowded: false,
  total: false,
  bulk: false,
};

const profiles: readonly (readonly [number, Rough])[] = [
  [2, clear],
  [2, { ...clear, profile: "reload", reloads: 12, flips: 10 }],
  [2, { ...clear, profile: "idle-races", idleCloses: 0.5, reloads: 2 }],
  [3, { ...clear, profile: "endpoints", faults: 0.2, idleCloses: 0.2, reloads: 2, flips: 5, deaths: 4 }],
  [1, { ...clear, profile: "bulk", bulk: true, faults: 0.1, idleCloses: 0.1, rude: 0.2, reloads: 2 }],
  [2, { ...clear, profile: "clients", rude: 0.5, malformed: 0.2, reloads: 1 }],
  [
    2,
    {
      ...clear,
      profile: "scarce",
      solid: false,
      limited: true,
      crowded: true,
      faults: 0.05,
      flips: 10,
      deaths: 2,
      total: true,
      reloads: 4,
    },
  ],
  [
    4,
    {
      profile: "storm",
      solid: false,
      faults: 0.2,
      idleCloses: 0.2,
      rude: 0.25,
      malformed: 0.1,
      reloads: 6,
      flips: 12,
      deaths: 6,
      limited: true,
      crowded: false,
      total: true,
      bulk: false,
    },
  ],
  [
    3,
    {
      profile: "policies",
      solid: false,
      faults: 0.15,
      idleCloses: 0.15,
      rude: 0.15,
      malformed: 0.05,
      reloads: 8,
      flips: 8,
      deaths: 3,
      limited: true,
      crowded: false,
      total: true,
      bulk: false,
      policies: true,
    },
  ],
];

function deadlinesOf(dice: Dice, total: boolean): Deadlines {
  const ms = (low: number, high: number): number => Math.round(dice.real(low, high));
  return {
    requestHeadMs: ms(500, 2000),
    idleMs: ms(400, 2500),
    bodyMs: ms(500, 2000),
    writeMs: ms(500, 2000),
    connectMs: ms(300, 1200),
    sendMs: ms(500, 2000),
    responseMs: ms(500, 2000),
    totalMs: total && dice.chance(0.5) ? ms(800, 4000) : 0,
    tunnelMs: ms(600, 2500),
    queueMs: ms(200, 1500),
    keepAliveMs: ms(300, 3000),
  };
}

/** Bytes of a body. */
export function bodySize(dice: Dice, weather: Weather): number {
  const { bulk, bodyMax } = weather;
  return bulk && dice.chance(0.4) ? dice.whole(bodyMax >> 2, bodyMax) : dice.size(bodyMax);
}

function netOf(dice: Dice, bulk: boolean): NetMood {
  const mood: NetMood = {
    latencyMaxMs: dice.pick([0.5, 3, 15]),
    windowMin: dice.pick([512, 4096, 16_384]),
    windowMax: dice.pick([2048, 65_536, 600_000]) + 16_384,
    readMax: dice.pick([700, 4096, 65_536, 524_288]),
    lag: dice.pick([0, 0, 0.1]),
    whole: dice.pick([0.5, 0.9, 1]),
    partial: dice.pick([0, 0.1, 0.5]),
    spuriousDrain: dice.pick([0, 0.1]),
    flushOnReset: dice.pick([0, 0.5, 1]),
  };
  if (!bulk) return mood;
  return {
    ...mood,
    windowMin: 300_000,
    windowMax: 900_000,
    readMax: dice.pick([140_000, 200_000]),
    lag: 0.5,
    whole: 0.95,
    partial: 0,
  };
}

/** profile "" = by chance. */
export function weatherOf(dice: Dice, profile: string): Weather {
  const chosen = dice.weighted(profiles);
  const rough = profiles.find(([, { profile: name }]) => name === profile)?.[1] ?? chosen;
  const bulk = rough.bulk || dice.chance(0.04);
  const net = netOf(dice, bulk);
  // small reads make many events
  const bodies = net.readMax >= 65_536 ? [300, 5000, 60_000, 800_000] : [300, 5000, 5000, 40_000];
  return {
    profile: rough.profile,
    workers: dice.chance(0.25) ? 2 : 1,
    seconds: dice.whole(2, 5),
    connections: bulk ? dice.whole(2, 8) : dice.whole(6, rough.crowded ? 50 : 30),
    solid: rough.solid,
    faults: rough.faults,
    idleCloses: rough.idleCloses,
    rude: rough.rude,
    malformed: rough.malformed,
    slow: dice.pick([0, 0.05, 0.3]),
    upgrades: dice.pick([0, 0.1, 0.5]),
    early: dice.pick([0, 0.1, 0.3]),
    reloads: dice.whole(0, rough.reloads),
    flips: dice.whole(0, rough.flips),
    deaths: dice.whole(0, rough.deaths),
    limited: rough.limited,
    crowded: rough.crowded || (rough.policies === true && dice.chance(0.5)),
    connectionsMax: dice.chance(0.1) ? dice.whole(8, 15) : 0,
    logs: dice.chance(0.3),
    bulk,
    bodyMax: bulk ? 800_000 : dice.pick(bodies),
    bodyLimit: dice.chance(0.15) ? 3000 : 0,
    requestsPerConnection: dice.chance(0.2) ? dice.whole(1, 5) : 0,
    trusted: dice.chance(0.2),
    via: dice.chance(0.2),
    drains: dice.chance(0.3),
    policies: rough.policies === true,
    deadlines: deadlinesOf(dice, rough.total),
    net,
  };
}

export const profileNames: readonly string[] = profiles.map(([, { profile }]) => profile);
