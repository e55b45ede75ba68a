// Heads as people read them: the first line, the fields, what follows; and how two lists of fields differ.

export interface Field {
  readonly name: string;
  readonly value: string;
}

/** A whole message. */
export interface MessageText {
  readonly first: string;
  readonly fields: readonly Field[];
  readonly body: string;
}

const utf8 = new TextDecoder();

/** Bytes that are no UTF-8 become replacement characters. */
export function readMessage(bytes: Uint8Array): MessageText {
  const text = utf8.decode(bytes);
  const end = text.indexOf("\r\n\r\n");
  const [first = "", ...lines] = text.slice(0, end < 0 ? text.length : end).split("\r\n");
  const fields = lines.map((line) => {
    const colon = line.indexOf(":");
    return { name: line.slice(0, colon), value: line.slice(colon + 1).trim() };
  });
  return { first, fields, body: end < 0 ? "" : text.slice(end + 4) };
}

/** Fields that only one of the lists has; names without case, values with it. */
export function fieldChanges(
  before: readonly Field[],
  after: readonly Field[],
): { readonly added: readonly Field[]; readonly removed: readonly Field[] } {
  return { added: without(after, before), removed: without(before, after) };
}

function without(fields: readonly Field[], others: readonly Field[]): readonly Field[] {
  const left = others.map(keyOf);
  return fields.filter((field) => {
    const at = left.indexOf(keyOf(field));
    if (at >= 0) left.splice(at, 1);
    return at < 0;
  });
}

function keyOf({ name, value }: Field): string {
  return `${name.toLowerCase()}:${value}`;
}

/** All values of a field, joined as RFC 9110 5.3 allows; null = it is not there. */
export function fieldValue(fields: readonly Field[], name: string): string | null {
  const wanted = name.toLowerCase();
  const values = fields.filter((field) => field.name.toLowerCase() === wanted).map(({ value }) => value);
  return values.length === 0 ? null : values.join(", ");
}
