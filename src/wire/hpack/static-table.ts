// The static table of HPACK (RFC 7541 appendix A), as lines like those of the dynamic table, each judged once, and the
// look-up of its names.

import { classify } from "../h2/field-rules.ts";
import { latin1, NameTable } from "../h1/tables.ts";
import { ENTRY_NAME_LENGTH, ENTRY_START, ENTRY_TAG, ENTRY_VALUE_LENGTH, ENTRY_WIDTH } from "./dynamic-table.ts";

/** Entries 1 to 61. */
export const STATIC_COUNT = 61;

const fields: readonly (readonly [string, string])[] = [
  [":authority", ""],
  [":method", "GET"],
  [":method", "POST"],
  [":path", "/"],
  [":path", "/index.html"],
  [":scheme", "http"],
  [":scheme", "https"],
  ...["200", "204", "206", "304", "400", "404", "500"].map((status) => [":status", status] as const),
  ["accept-charset", ""],
  ["accept-encoding", "gzip, deflate"],
  ...(
    "accept-language accept-ranges accept access-control-allow-origin age allow authorization " +
    "cache-control content-disposition content-encoding content-language content-length content-location " +
    "content-range content-type cookie date etag expect expires from host if-match if-modified-since " +
    "if-none-match if-range if-unmodified-since last-modified link location max-forwards " +
    "proxy-authenticate proxy-authorization range referer refresh retry-after server set-cookie " +
    "strict-transport-security transfer-encoding user-agent vary via www-authenticate"
  )
    .split(" ")
    .map((name) => [name, ""] as const),
];

/** Lines of all entries, and columns like DynamicTable's; the tag is the field's class. Entry i begins at i * WIDTH. */
export const staticBytes = latin1(fields.map(([name, value]) => `${name}: ${value}\r\n`).join(""));
export const staticEntries = new Int32Array((STATIC_COUNT + 1) * ENTRY_WIDTH);

function fillEntries(): void {
  let start = 0;
  fields.forEach(([name, value], i) => {
    const at = (i + 1) * ENTRY_WIDTH;
    const nameEnd = start + name.length;
    const valueEnd = nameEnd + 2 + value.length;
    staticEntries[at + ENTRY_START] = start;
    staticEntries[at + ENTRY_NAME_LENGTH] = name.length;
    staticEntries[at + ENTRY_VALUE_LENGTH] = value.length;
    staticEntries[at + ENTRY_TAG] = classify(staticBytes, start, nameEnd, nameEnd + 2, valueEnd);
    start = valueEnd + 2;
  });
}
fillEntries();

/** The first entry with each name; 0 = no entry. */
export const staticNames = new NameTable<number>(
  0,
  fields.map(([name], i) => [name, i + 1] as const).filter(([name], i) => i === 0 || fields[i - 1]![0] !== name),
);

/** The entry of a name that is known to be in the table. */
export function staticIndexOf(name: string): number {
  return staticNames.find(latin1(name), 0, name.length);
}
