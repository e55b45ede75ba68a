// Offsets in a text to lines and columns, and back to the lines themselves.

export interface LineTable {
  /** Line and column from 1; a column counts UTF-16 units. Offsets beyond the text are its end. */
  placeOf(offset: number): { readonly line: number; readonly column: number };
  /** Line number of the last line, from 1. */
  readonly count: number;
}

export function createLineTable(text: string): LineTable {
  const starts = [0];
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) starts.push(at + 1);
  return {
    count: starts.length,
    placeOf(offset) {
      const bounded = Math.max(0, Math.min(offset, text.length));
      let low = 0;
      let high = starts.length - 1;
      while (low < high) {
        const middle = (low + high + 1) >> 1;
        if (starts[middle]! <= bounded) low = middle;
        else high = middle - 1;
      }
      return { line: low + 1, column: bounded - starts[low]! + 1 };
    },
  };
}
