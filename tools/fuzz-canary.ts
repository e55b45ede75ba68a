// A fuzz target with a planted bug. The driver must find it, else its silence about the real targets would mean
// nothing.

import type { FuzzTarget } from "./fuzz.ts";

const seed = new TextEncoder().encode("canary: {song: true}");

export const canary: FuzzTarget = {
  name: "canary",
  seeds: [seed],
  run(input) {
    // Needs two unrelated changes: more bytes than the seed has, and a NUL in front of what is still a colon.
    const colon = input.indexOf(0x3a);
    if (input.length > seed.length && colon > 0 && input[colon - 1] === 0) throw new Error("the canary has been found");
  },
};
