// Text in columns, for terminals. Widths are counted without colours.

export interface Cell {
  readonly text: string;
  /** Wraps the padded text in colour codes. */
  readonly paint?: (text: string) => string;
}

export interface Column {
  readonly title: string;
  /** Numbers stand on the right. */
  readonly right?: boolean;
}

/** The columns with their titles and rows, each line ended. The last column is not padded. */
export function formatTable(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  paintTitle: (text: string) => string,
): string {
  const widths = columns.map(({ title }, i) => Math.max(title.length, ...rows.map((row) => row[i]!.text.length)));
  const pad = (text: string, i: number): string => {
    if (columns[i]!.right === true) return text.padStart(widths[i]!);
    return i === columns.length - 1 ? text : text.padEnd(widths[i]!);
  };
  const head = columns.map(({ title }, i) => paintTitle(pad(title, i))).join("  ");
  const lines = rows.map((row) => row.map((cell, i) => (cell.paint ?? plain)(pad(cell.text, i))).join("  "));
  return [head, ...lines].map((line) => `${line.trimEnd()}\n`).join("");
}

function plain(text: string): string {
  return text;
}
