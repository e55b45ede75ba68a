// What something that was thrown says to the operator.

export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

const thrownMax = 300;

/** The same for what code of the user's threw, which may be anything: cut to one line's worth, and never throws. */
export function thrownText(thrown: unknown): string {
  let text: string;
  try {
    text = thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown);
  } catch {
    text = "something that cannot be shown";
  }
  return text.length > thrownMax ? `${text.slice(0, thrownMax)}…` : text;
}

/**
 * Where it was thrown, as "file:line:column"; "" if it does not say. The user's code has relative paths, for it is
 * loaded as a bundle: if it called something of ours that threw, the call is meant. Never throws.
 */
export function thrownPlace(thrown: unknown): string {
  try {
    const stack: unknown = thrown instanceof Error ? thrown.stack : "";
    if (typeof stack !== "string") return "";
    const frames = [...stack.matchAll(/^ +at (?:[^\n]*\()?([^\n()]+:\d+:\d+)\)?$/gm)].map((match) => match[1]!);
    return frames.find((frame) => !/^(\/|node:|bun:|native)/.test(frame)) ?? frames[0] ?? "";
  } catch {
    return "";
  }
}
