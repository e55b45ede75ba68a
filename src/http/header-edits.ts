// What a route does to the fields of a message: remove, set, add, in this order. Compiled once; per message one pass
// over the table of fields that marks those that go, and lines behind those we add anyway. Fields that frame the
// message or belong to the connection are not touched, whatever the configuration says: their names are left out here.

import type { Scratch } from "../base/bytes.ts";
import { fixedFields } from "../model/fixed-fields.ts";
import type { HeaderEdits } from "../model/route-config.ts";
import type { Head } from "../wire/head.ts";
import { FieldLines } from "./field-lines.ts";
import { FieldNames } from "./field-names.ts";
import type { TemplateFacts } from "./template.ts";

export class CompiledEdits {
  /** apply() needs the facts of the request; otherwise they may be null. */
  readonly needsFacts: boolean;
  /** The names that are removed and set. */
  readonly replaced: FieldNames;
  private readonly lines: FieldLines;

  constructor(replaced: FieldNames, lines: FieldLines) {
    this.replaced = replaced;
    this.lines = lines;
    this.needsFacts = lines.needsFacts;
  }

  /**
   * Marks the fields of head that go, takes them out of `added` (the whole lines of ours so far), and appends what is
   * set and added. head is the message's own: of a request or of a response; facts are always the request's.
   */
  apply(head: Head, added: Scratch, facts: TemplateFacts | null): void {
    if (!this.replaced.isEmpty) {
      this.replaced.dropFrom(head);
      this.replaced.dropLines(added);
    }
    this.lines.put(added, facts);
  }
}

/**
 * null = nothing to do. A name with dashes also removes and replaces its spellings with underscores in requests, which
 * many programs take for the same.
 */
export function compileEdits(config: HeaderEdits, side: "request" | "response"): CompiledEdits | null {
  const isFree = (name: string): boolean => !fixedFields.has(name.toLowerCase());
  const replaced = [...config.remove, ...config.set.map((line) => line.name)].filter(isFree);
  const lines = new FieldLines([...config.set, ...config.add].filter((line) => isFree(line.name)));
  if (replaced.length === 0 && lines.isEmpty) return null;
  return new CompiledEdits(new FieldNames(replaced, side === "request"), lines);
}
