// Bounds for counts that are drawn by chance, so that a test of a share fails when the share is wrong and not when luck
// is bad.

/** Counts within which so many draws with this probability stay, but for one run in `runs` (both sides together). */
export function binomialBounds(draws: number, probability: number, runs: number): { low: number; high: number } {
  const tail = 0.5 / runs;
  // P(X = k), each from the one before, in logarithms: the first of them underflow otherwise.
  const odds = Math.log(probability) - Math.log1p(-probability);
  const logs = [draws * Math.log1p(-probability)];
  for (let k = 1; k <= draws; k++) logs.push(logs[k - 1]! + Math.log((draws - k + 1) / k) + odds);
  const chances = logs.map(Math.exp);
  let low = 0;
  for (let below = chances[0]!; below <= tail; below += chances[low]!) low++;
  let high = draws;
  for (let above = chances[draws]!; above <= tail; above += chances[high]!) high--;
  return { low, high };
}
