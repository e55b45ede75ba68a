// What a test expects against what the explanation of its request says: a sentence for everything that differs.

import { seededRng } from "../base/seeded-rng.ts";
import { drawShares } from "./draw-shares.ts";
import { type ArmWord, type Explanation, statusOf } from "./explanation.ts";
import { fieldValue } from "./message-text.ts";

/** Something that is not as expected. Both are texts for people. */
export interface Difference {
  readonly field: string;
  readonly expected: string;
  readonly found: string;
}

/** Rounded to what the draw can tell. */
export function formatShare(percent: number): string {
  return `${Math.round(percent * 10) / 10}%`;
}

/** What becomes of the request, in a few words. */
export function summarize(explanation: Explanation): string {
  const { outcome } = explanation;
  switch (outcome.kind) {
    case "redirect":
      return `${outcome.status} to ${outcome.location}`;
    case "respond":
    case "preflight":
      return `the answer ${outcome.status}`;
    case "refused":
      return outcome.status === 0 ? outcome.reason : `${outcome.status}: ${outcome.reason}`;
    case "forward":
      return outcome.arms.map((arm) => summarizeArm(arm, outcome.arms.length > 1)).join(", ");
  }
}

function summarizeArm({ pool, percent, refused }: ArmWord, isOneOfSeveral: boolean): string {
  const share = isOneOfSeveral ? `${formatShare(percent)} to ` : "";
  if (refused === null) return `${share}pool ${pool}`;
  return `${share}${refused.status === 0 ? "" : `${refused.status}: `}${refused.reason}`;
}

export function compareRoute({ route }: Explanation, expected: string): Difference[] {
  return route === expected ? [] : [{ field: "route", expected, found: route ?? "none" }];
}

/** Every such request has to get there. */
export function comparePool(explanation: Explanation, expected: string): Difference[] {
  const { outcome } = explanation;
  const gets = outcome.kind === "forward" && outcome.arms.every((arm) => arm.pool === expected && arm.refused === null);
  return gets ? [] : [{ field: "pool", expected, found: summarize(explanation) }];
}

/** tolerance in points. The draw is the same each time. */
export function compareShare(explanation: Explanation, pool: string, percent: number, tolerance: number): Difference[] {
  const { outcome } = explanation;
  const expected = `${formatShare(percent)} to pool ${pool}, give or take ${tolerance}`;
  if (outcome.kind !== "forward") return [{ field: "share", expected, found: summarize(explanation) }];
  const dead = outcome.arms.find((arm) => arm.pool === pool && arm.refused !== null);
  if (dead !== undefined) return [{ field: "share", expected, found: summarizeArm(dead, true) }];
  const share = drawShares(outcome, seededRng(1)).get(pool) ?? 0;
  return Math.abs(share - percent) <= tolerance ? [] : [{ field: "share", expected, found: formatShare(share) }];
}

export function compareStatus(explanation: Explanation, expected: number): Difference[] {
  const status = statusOf(explanation);
  return status === expected ? [] : [{ field: "status", expected: String(expected), found: summarize(explanation) }];
}

export function compareLocation(explanation: Explanation, expected: string): Difference[] {
  const { outcome } = explanation;
  const found = outcome.kind === "redirect" ? outcome.location : null;
  return found === expected ? [] : [{ field: "location", expected, found: summarize(explanation) }];
}

/** What endpoints get. pool: only those of this pool; null = all that may get the request. */
export function compareSent(
  explanation: Explanation,
  pool: string | null,
  field: string,
  expected: string | null,
  valueOf: (sent: NonNullable<ArmWord["sent"]>) => string | null,
): Difference[] {
  const { outcome } = explanation;
  const arms = outcome.kind === "forward" ? outcome.arms.filter((arm) => pool === null || arm.pool === pool) : [];
  const say = (text: string | null): string => text ?? "not there";
  if (arms.length === 0) return [{ field, expected: say(expected), found: summarize(explanation) }];
  for (const { sent } of arms) {
    const found = sent === null ? summarize(explanation) : say(valueOf(sent));
    if (sent === null || valueOf(sent) !== expected) return [{ field, expected: say(expected), found }];
  }
  return [];
}

export function compareHeader(
  explanation: Explanation,
  pool: string | null,
  name: string,
  expected: string | null,
): Difference[] {
  return compareSent(explanation, pool, `header ${name}`, expected, ({ fields }) => fieldValue(fields, name));
}
