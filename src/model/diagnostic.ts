// What is wrong with a configuration, where, and how to mend it. Front ends and validator produce these; commands print
// them.

export interface Position {
  readonly file: string;
  /** From 1; 0 when there is no place (the whole file). */
  readonly line: number;
  readonly column: number;
}

export interface Diagnostic {
  readonly severity: "error" | "warning";
  readonly at: Position;
  /** Where in the model: "pools.users.endpoints[0].weight"; "" for the file itself. */
  readonly path: string;
  /** What is wrong, as a sentence without a full stop. */
  readonly message: string;
  /** What to do, "did you mean …"; "" if there is nothing to add. */
  readonly hint: string;
}

/** "file:line:column: error: message (hint)", without colour. */
export function formatDiagnostic(d: Diagnostic): string {
  const place = d.at.line > 0 ? `${d.at.file}:${d.at.line}:${d.at.column}` : d.at.file;
  const subject = d.path === "" ? "" : `${d.path}: `;
  const hint = d.hint === "" ? "" : `\n    hint: ${d.hint}`;
  return `${place}: ${d.severity}: ${subject}${d.message}${hint}`;
}

export function hasErrors(diagnostics: readonly Diagnostic[]): boolean {
  return diagnostics.some((d) => d.severity === "error");
}
