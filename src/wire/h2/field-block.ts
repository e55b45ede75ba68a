// A decoded field section on its way to becoming a Head: regular fields as lines in one buffer with a table of their
// places, pseudo-header fields as spans. The HPACK decoder appends to it, read-head.ts makes the Head. One is shared by
// all connections, like the Head of the HTTP/1.1 parser: it is valid only until the next begin().

import { Scratch } from "../../base/bytes.ts";
import { ENTRY_OVERHEAD, LINE_OVERHEAD } from "../hpack/dynamic-table.ts";
import {
  FIELD_ID,
  FIELD_LINE_END,
  FIELD_NAME,
  FIELD_NAME_END,
  FIELD_VALUE,
  FIELD_VALUE_END,
  FIELD_WIDTH,
  Head,
} from "../head.ts";
import { CLASS_SPECIAL, type FieldClass, FieldRule, Pseudo, pseudoOfClass, ruleOfClass } from "./field-rules.ts";

export const BlockKind = { Request: 0, Response: 1, Trailers: 2 } as const;
export type BlockKind = (typeof BlockKind)[keyof typeof BlockKind];

/**
 * Free bytes in front of the first line. The start line and the Host line that take the place of the pseudo-header
 * lines need fewer bytes than these and those together (their names are longer than what HTTP/1.1 adds).
 */
const frontBytes = 32;
/** Fields that a head gets besides those that came: Host, and what makes an upgrade. */
const ownFieldsMax = 4;
const requestPseudos =
  (1 << Pseudo.Method) | (1 << Pseudo.Scheme) | (1 << Pseudo.Authority) | (1 << Pseudo.Path) | (1 << Pseudo.Protocol);
const pseudosOfKind: Readonly<Record<BlockKind, number>> = {
  [BlockKind.Request]: requestPseudos,
  [BlockKind.Response]: 1 << Pseudo.Status,
  [BlockKind.Trailers]: 0,
};

export class FieldBlock {
  /** Filled in by read-head.ts. Its table takes the regular fields from the start; slot 0 of a request is for Host. */
  readonly head: Head;
  readonly out = new Scratch(4096);
  kind: BlockKind = BlockKind.Request;
  /** The field section is longer or has more fields than allowed. What came behind that is dropped. */
  tooLarge = false;
  /** The first rule that was broken. What came behind that is dropped. */
  rule: FieldRule = FieldRule.None;
  /** Bit 1 << Pseudo of each pseudo-header field that came. */
  pseudosSeen = 0;
  /** Spans of their values in `out`, by Pseudo. */
  readonly pseudoStart = new Int32Array(8);
  readonly pseudoEnd = new Int32Array(8);
  /** Where the first regular line begins, once there is one. */
  linesStart = -1;
  /** The next free place of the head's table. */
  slot = 0;
  private allowedPseudos = 0;
  private bytesLeft = 0;
  private fieldsLeft = 0;
  private dropping = false;

  private readonly capacity: number;

  /** fieldsMax = the largest fieldsMax that begin() will be given. */
  constructor(fieldsMax: number) {
    this.capacity = fieldsMax;
    this.head = new Head(fieldsMax + ownFieldsMax);
  }

  /**
   * Ready for a field section. listBytesMax = names, values and 32 for each field (SETTINGS_MAX_HEADER_LIST_SIZE,
   * RFC 9113 6.5.2); fieldsMax includes pseudo-header fields. With 0 and 0 the section is only decoded for the sake of
   * the tables.
   */
  begin(kind: BlockKind, listBytesMax: number, fieldsMax: number): void {
    this.kind = kind;
    this.allowedPseudos = pseudosOfKind[kind];
    this.bytesLeft = listBytesMax;
    this.fieldsLeft = Math.min(fieldsMax, this.capacity);
    this.tooLarge = false;
    this.rule = FieldRule.None;
    this.dropping = false;
    this.pseudosSeen = 0;
    this.linesStart = -1;
    this.slot = kind === BlockKind.Request ? FIELD_WIDTH : 0;
    this.out.length = frontBytes;
  }

  has(pseudo: Pseudo): boolean {
    return ((this.pseudosSeen >> pseudo) & 1) !== 0;
  }

  /** Appends a field that stands as a whole line in source at `start`. */
  addLine(source: Uint8Array, start: number, nameLength: number, valueLength: number, fieldClass: FieldClass): void {
    if (!this.admits(nameLength + valueLength)) return;
    const { out } = this;
    const lineStart = out.length;
    out.put(source, start, start + nameLength + valueLength + LINE_OVERHEAD);
    const nameEnd = lineStart + nameLength;
    this.note(fieldClass, lineStart, nameEnd, nameEnd + 2, nameEnd + 2 + valueLength);
  }

  /** Takes the line that has been written at the end of `out`, from lineStart on; if it may not stay it is cut off. */
  takeLine(lineStart: number, nameEnd: number, valueStart: number, valueEnd: number, fieldClass: FieldClass): void {
    if (this.admits(nameEnd - lineStart + valueEnd - valueStart)) {
      this.note(fieldClass, lineStart, nameEnd, valueStart, valueEnd);
    } else this.out.length = lineStart;
  }

  /** Notes a rule that is broken; the first one counts. */
  refuse(rule: FieldRule): void {
    if (this.dropping) return;
    this.dropping = true;
    this.rule = rule;
  }

  private admits(fieldBytes: number): boolean {
    if (this.dropping) return false;
    this.bytesLeft -= fieldBytes + ENTRY_OVERHEAD;
    if (this.bytesLeft >= 0 && this.fieldsLeft-- > 0) return true;
    this.tooLarge = true;
    this.dropping = true;
    return false;
  }

  private note(fieldClass: FieldClass, start: number, nameEnd: number, valueStart: number, valueEnd: number): void {
    if (fieldClass >= CLASS_SPECIAL) {
      this.noteSpecial(fieldClass, valueStart, valueEnd);
      return;
    }
    if (this.linesStart < 0) this.linesStart = start;
    const { fields } = this.head;
    const { slot } = this;
    fields[slot + FIELD_NAME] = start;
    fields[slot + FIELD_NAME_END] = nameEnd;
    fields[slot + FIELD_VALUE] = valueStart;
    fields[slot + FIELD_VALUE_END] = valueEnd;
    fields[slot + FIELD_LINE_END] = valueEnd + 2;
    fields[slot + FIELD_ID] = fieldClass;
    this.slot = slot + FIELD_WIDTH;
  }

  private noteSpecial(fieldClass: FieldClass, valueStart: number, valueEnd: number): void {
    const pseudo = pseudoOfClass(fieldClass);
    const bit = 1 << pseudo;
    if (ruleOfClass(fieldClass) !== FieldRule.None) this.refuse(ruleOfClass(fieldClass));
    else if ((this.allowedPseudos & bit) === 0) this.refuse(FieldRule.PseudoKind);
    else if (this.linesStart >= 0) this.refuse(FieldRule.PseudoOrder);
    else if ((this.pseudosSeen & bit) !== 0) this.refuse(FieldRule.PseudoTwice);
    this.pseudosSeen |= bit;
    this.pseudoStart[pseudo] = valueStart;
    this.pseudoEnd[pseudo] = valueEnd;
  }
}
