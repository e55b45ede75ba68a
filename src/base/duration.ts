// Durations as people write them: the way back from milliseconds to the text of the configuration.

const steps: readonly (readonly [string, number])[] = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1000],
];

/** "250ms", "5s", "1m", "90s": the largest unit that says ms exactly. Fractions of a millisecond are rounded away. */
export function formatMs(ms: number): string {
  const whole = Math.round(ms);
  for (const [unit, length] of steps) {
    if (whole >= length && whole % length === 0) return `${whole / length}${unit}`;
  }
  return `${whole}ms`;
}
