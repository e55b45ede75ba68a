// The proxies that are compared. One file per proxy; add a line here to add one.

import type { Contender } from "./contender.ts";
import { haproxy, haproxyCopy } from "./haproxy.ts";
import { nginx } from "./nginx.ts";
import { sluice } from "./sluice.ts";

/** All, in table order. Sluice is judged against the best of the others in the run. */
export const CONTENDERS: readonly Contender[] = [nginx, haproxy, haproxyCopy, sluice];

/** Those that run unless --contenders says otherwise. */
export const DEFAULT_CONTENDERS: readonly string[] = [nginx.name, haproxy.name, sluice.name];

/** The contender whose figures are judged. */
export const SUBJECT = sluice.name;

/** The contenders of these names, in table order. Throws on an unknown name. */
export function selectContenders(names: readonly string[]): readonly Contender[] {
  for (const name of names) {
    if (!CONTENDERS.some((contender) => contender.name === name)) {
      const known = CONTENDERS.map((contender) => contender.name).join(", ");
      throw new Error(`--contenders ${name}: no such contender; there are ${known}`);
    }
  }
  return CONTENDERS.filter((contender) => names.includes(contender.name));
}
