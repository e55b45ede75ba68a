// One value stands for a list of one, wherever a key takes either.

/** The values, however many were given; none is an empty list. */
export function asList<T extends string | object>(given: T | readonly T[] | undefined): readonly T[] {
  if (given === undefined) return [];
  return Array.isArray(given) ? (given as readonly T[]) : [given as T];
}
