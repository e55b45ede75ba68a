// The action respond: a fixed answer with fields and body of the configuration, both templates.

import { Scratch } from "../base/bytes.ts";
import { fixedFields } from "../model/fixed-fields.ts";
import type { ActionConfig } from "../model/route-config.ts";
import type { Head, Method } from "../wire/head.ts";
import { latin1 } from "../wire/h1/tables.ts";
import { FieldLines } from "./field-lines.ts";
import { beginOwn, endOwn, ownLinesMax } from "./own-answer.ts";
import { compileTemplate, type Template, type TemplateFacts } from "./template.ts";

const textType = latin1("Content-Type: text/plain; charset=utf-8\r\n");
const filled = new Scratch(1024);

export class Respond {
  /** assemble() needs the facts of the request; otherwise they may be null. */
  readonly needsFacts: boolean;
  private readonly status: number;
  private readonly lines: FieldLines;
  private readonly addsType: boolean;
  private readonly body: Template;
  /** The body, if it is the same for all. */
  private readonly constant: Uint8Array | null;

  /** Throws if there are more headers than a response of ours can have. */
  constructor(config: Extract<ActionConfig, { readonly kind: "respond" }>) {
    const headers = config.headers.filter(({ name }) => !isOurs(name.toLowerCase()));
    if (headers.length >= ownLinesMax) throw new Error(`respond: at most ${ownLinesMax - 1} headers`);
    this.status = config.status;
    this.lines = new FieldLines(headers);
    this.addsType = config.body !== "" && !headers.some(({ name }) => name.toLowerCase() === "content-type");
    this.body = compileTemplate(config.body, "body");
    this.needsFacts = this.lines.needsFacts || !this.body.isLiteral;
    this.constant = null;
    if (this.body.isLiteral) {
      const text = new Scratch(64);
      this.body.put(text, null);
      this.constant = text.bytes.slice(0, text.length);
    }
  }

  /** Makes the response, to be sent by sendOwn(). */
  assemble(method: Method, facts: TemplateFacts | null, wallMs: number): Head {
    const { status, constant } = this;
    const lines = beginOwn(status, wallMs);
    this.lines.put(lines, facts);
    if (this.addsType) lines.putAll(textType);
    if (constant !== null) return endOwn(status, method, constant, constant.length, true);
    filled.length = 0;
    this.body.put(filled, facts);
    return endOwn(status, method, filled.bytes, filled.length, false);
  }
}

/** Fields that frame the response, or that every response of ours has. */
function isOurs(name: string): boolean {
  return fixedFields.has(name) || name === "date";
}
