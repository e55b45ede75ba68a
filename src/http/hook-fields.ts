// What a hook does to the header fields of a message: noted down while the hook runs, done to the message when it has
// come to a good end. What is no field is refused at once, where the hook's author sees it.

import { latin1Text, type Scratch } from "../base/bytes.ts";
import { hookFieldsBytesMax } from "../base/limits.ts";
import { fixedFields } from "../model/fixed-fields.ts";
import {
  FIELD_DROPPED,
  FIELD_ID,
  FIELD_NAME,
  FIELD_NAME_END,
  FIELD_VALUE,
  FIELD_VALUE_END,
  FIELD_WIDTH,
  type Head,
} from "../wire/head.ts";
import { findHeader } from "../wire/lookup.ts";
import { FieldNames } from "./field-names.ts";

const namePattern = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const valuePattern = /^[\t\x20-\x7e\x80-\xff]*$/;

/** What becomes of the fields of one name. */
interface Entry {
  /** As it is to be written. */
  readonly name: string;
  /** Those that came go. */
  readonly replaces: boolean;
  readonly values: readonly string[];
}

/** A name or value as messages show it. */
export function shown(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value.slice(0, 100)) : `a ${typeof value}`;
}

/** The name in lower case. Throws a TypeError for what is none, or cannot be changed. */
export function checkedName(name: unknown): string {
  if (typeof name !== "string" || !namePattern.test(name))
    throw new TypeError(`${shown(name)} is not the name of a header`);
  const lower = name.toLowerCase();
  if (!fixedFields.has(lower)) return lower;
  const hint = lower === "host" ? "use setHost" : "it belongs to the connection, not to the message";
  throw new TypeError(`the header ${name} cannot be changed: ${hint}`);
}

/** The value without blanks around it. Throws a TypeError for what cannot be one. */
export function checkedValue(name: string, value: unknown): string {
  if (typeof value === "string" && valuePattern.test(value)) return value.trim();
  const why = typeof value === "string" ? "encodeURIComponent() makes it ASCII without line ends" : "it must be a text";
  throw new TypeError(`${shown(value)} cannot be the value of the header ${name}: ${why}`);
}

export class HookEdits {
  private readonly entries = new Map<string, Entry>();
  private bytes = 0;
  private replaced: FieldNames | null = null;

  /** What is to become of a name, in lower case; undefined = nothing. */
  of(lower: string): Entry | undefined {
    return this.entries.get(lower);
  }

  get all(): Iterable<[string, Entry]> {
    return this.entries;
  }

  set(name: string, value: string | readonly string[]): void {
    const lower = checkedName(name);
    const values = (typeof value === "string" ? [value] : value).map((each) => checkedValue(name, each));
    this.put(lower, { name, replaces: true, values }, values);
  }

  append(name: string, value: string): void {
    const lower = checkedName(name);
    const before = this.entries.get(lower);
    const more = checkedValue(name, value);
    const values = [...(before?.values ?? []), more];
    this.put(lower, { name: before?.name ?? name, replaces: before?.replaces ?? false, values }, [more]);
  }

  remove(name: string): void {
    this.put(checkedName(name), { name, replaces: true, values: [] }, []);
  }

  private put(lower: string, entry: Entry, added: readonly string[]): void {
    this.bytes += entry.name.length;
    for (const value of added) this.bytes += entry.name.length + value.length;
    if (this.bytes > hookFieldsBytesMax) {
      throw new RangeError(`a hook may set ${hookFieldsBytesMax} bytes of header fields, and this is more`);
    }
    this.entries.set(lower, entry);
    this.replaced = null;
  }

  /**
   * Marks the fields of head that go, takes them out of `added` (the whole lines of ours so far), and appends those
   * that come. withLookalikes = spellings with underscores go, too, as in edits of requests.
   */
  apply(head: Head, added: Scratch, withLookalikes: boolean): void {
    this.replaced ??= new FieldNames(this.namesReplaced(), withLookalikes);
    if (!this.replaced.isEmpty) {
      this.replaced.dropFrom(head);
      this.replaced.dropLines(added);
    }
    for (const { name, values } of this.entries.values()) {
      for (const value of values) added.putText(`${name}: ${value}\r\n`);
    }
  }

  private namesReplaced(): string[] {
    return [...this.entries].filter(([, { replaces }]) => replaces).map(([lower]) => lower);
  }
}

/** A field as hooks see it, its name in lower case. */
export type FieldPair = readonly [name: string, value: string];

/** Field i of the head, or null if it is dropped. */
function pairAt(head: Head, i: number): FieldPair | null {
  const { bytes, fields } = head;
  const at = i * FIELD_WIDTH;
  if ((fields[at + FIELD_ID]! & FIELD_DROPPED) !== 0) return null;
  const name = latin1Text(bytes, fields[at + FIELD_NAME]!, fields[at + FIELD_NAME_END]!).toLowerCase();
  return [name, latin1Text(bytes, fields[at + FIELD_VALUE]!, fields[at + FIELD_VALUE_END]!)];
}

/** The value of a field, as HookFields.header() tells it. more = fields that are not in the head but belong to it. */
export function readField(
  head: Head,
  more: readonly FieldPair[],
  edits: HookEdits | null,
  name: string,
): string | null {
  const lower = name.toLowerCase();
  const edit = edits?.of(lower);
  const values: string[] = [];
  if (edit === undefined || !edit.replaces) {
    for (let i = findHeader(head, lower); i >= 0; i = findHeader(head, lower, i + 1)) {
      const pair = pairAt(head, i);
      if (pair !== null) values.push(pair[1]);
    }
    for (const [other, value] of more) if (other === lower) values.push(value);
  }
  if (edit !== undefined) values.push(...edit.values);
  if (values.length === 0) return null;
  return values.length === 1 ? values[0]! : values.join(lower === "cookie" ? "; " : ", ");
}

/** Every field, as HookFields.headers() tells them. */
export function readFields(head: Head, more: readonly FieldPair[], edits: HookEdits | null): readonly FieldPair[] {
  const pairs: FieldPair[] = [];
  for (let i = 0; i < head.fieldCount; i++) {
    const pair = pairAt(head, i);
    if (pair !== null) pairs.push(pair);
  }
  pairs.push(...more);
  if (edits === null) return pairs;
  const kept = pairs.filter(([name]) => edits.of(name)?.replaces !== true);
  for (const [name, { values }] of edits.all) for (const value of values) kept.push([name, value]);
  return kept;
}
