// Field lines of the user's, compiled: names with templates for values, appended to a message's own lines. What needs
// no facts of the request is one copy.

import { Scratch } from "../base/bytes.ts";
import type { HeaderLine } from "../model/route-config.ts";
import { latin1 } from "../wire/h1/tables.ts";
import { compileTemplate, type Template, type TemplateFacts } from "./template.ts";

const crlf = latin1("\r\n");

/** "name: " and the template of its value; or, without a value, one or several whole lines. */
interface Line {
  readonly bytes: Uint8Array;
  readonly value: Template | null;
}

export class FieldLines {
  /** put() asks for facts; otherwise they may be null. */
  readonly needsFacts: boolean;
  readonly isEmpty: boolean;
  private readonly lines: readonly Line[];

  constructor(config: readonly HeaderLine[]) {
    this.lines = compile(config);
    this.isEmpty = this.lines.length === 0;
    this.needsFacts = this.lines.some((line) => line.value !== null);
  }

  /** Appends the lines. One whose value is nothing but holes is left out when they are all empty. */
  put(out: Scratch, facts: TemplateFacts | null): void {
    const { lines } = this;
    for (let i = 0; i < lines.length; i++) {
      const { bytes, value } = lines[i]!;
      const start = out.length;
      out.putAll(bytes);
      if (value === null) continue;
      const from = out.length;
      value.put(out, facts);
      if (out.length === from) out.length = start;
      else out.putAll(crlf);
    }
  }
}

function compile(config: readonly HeaderLine[]): Line[] {
  const lines: Line[] = [];
  const whole = new Scratch(64);
  const flush = (): void => {
    if (whole.length > 0) lines.push({ bytes: whole.bytes.slice(0, whole.length), value: null });
    whole.length = 0;
  };
  for (const { name, value } of config) {
    const template = compileTemplate(value, "header");
    if (!template.isLiteral) {
      flush();
      lines.push({ bytes: latin1(`${name}: `), value: template });
      continue;
    }
    whole.putText(`${name}: `);
    template.put(whole, null);
    whole.putAll(crlf);
  }
  flush();
  return lines;
}
