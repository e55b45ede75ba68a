// The byte classes and known names, written out once more in another way.

import { expect, test } from "bun:test";
import { Name } from "../head.ts";
import { DIGIT, equalsLower, hexValue, HOST, kind, latin1, lower, nameOf, TARGET, TCHAR, VCHAR } from "./tables.ts";

const bytesWith = (bit: number): string =>
  Array.from(kind.keys())
    .filter((c) => (kind[c]! & bit) !== 0)
    .map((c) => String.fromCharCode(c))
    .join("");
const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";

test("token characters are those of RFC 9110 5.6.2, written out", () => {
  const all = `!#$%&'*+-.^_\`|~0123456789${letters.replace("_", "")}`;
  expect([...bytesWith(TCHAR)].toSorted()).toEqual([...all].toSorted());
});
test("field values hold tab, space, visible characters and obs-text (RFC 9110 5.5)", () => {
  for (let c = 0; c < 256; c++) expect([c, (kind[c]! & VCHAR) !== 0]).toEqual([c, c === 9 || (c >= 32 && c !== 127)]);
});
test("targets hold no space, no control byte and no fragment", () => {
  for (let c = 0; c < 256; c++) {
    expect([c, (kind[c]! & TARGET) !== 0]).toEqual([c, c > 32 && c !== 127 && c !== 35]);
  }
});
test("host characters are those of reg-name, without the percent sign (RFC 3986 3.2.2)", () => {
  const all = `-._~!$&'()*+,;=0123456789${letters.replace("_", "")}`;
  expect([...bytesWith(HOST)].toSorted()).toEqual([...all].toSorted());
});
test("digits", () => expect(bytesWith(DIGIT)).toBe("0123456789"));
test("hexadecimal digits have their value, other bytes 255", () => {
  for (let c = 0; c < 256; c++) {
    const text = String.fromCharCode(c);
    expect([c, hexValue[c]]).toEqual([c, /^[0-9a-fA-F]$/.test(text) ? Number.parseInt(text, 16) : 255]);
  }
});
test("lower case is ASCII only", () => {
  for (let c = 0; c < 256; c++) expect([c, lower[c]]).toEqual([c, c >= 65 && c <= 90 ? c + 32 : c]);
});

test("every known name is found in any case, and nothing near it", () => {
  for (const [word, name] of Object.entries(Name)) {
    if (name === Name.Other || name === Name.Lookalike) continue;
    const text = word.replaceAll(/(?<!^)(?=[A-Z])/g, "-"); // XRealIp -> X-Real-Ip
    const of = (spelled: string): Name => nameOf(latin1(`..${spelled}:`), 2, spelled.length + 2);
    for (const spelling of [text, text.toUpperCase(), text.toLowerCase()])
      expect([spelling, of(spelling)]).toEqual([spelling, name]);
    for (let i = 0; i < text.length; i++) {
      const changed = `${text.slice(0, i)}~${text.slice(i + 1)}`;
      expect([changed, of(changed)]).toEqual([changed, Name.Other]);
    }
    for (const longer of [`${text}x`, `x${text}`, text.slice(1), text.slice(0, -1)]) {
      // "TE" and the like may be met by accident; none of the known names is another one less a letter.
      expect([longer, of(longer)]).toEqual([longer, Name.Other]);
    }
  }
});
test("our own fields spelled with underscores are lookalikes", () => {
  const of = (spelled: string): Name => nameOf(latin1(spelled), 0, spelled.length);
  for (const text of ["x_forwarded_for", "X-Forwarded_Proto", "X_FORWARDED-HOST", "x_forwarded_port", "X_Real_IP"])
    expect([text, of(text)]).toEqual([text, Name.Lookalike]);
  expect(of("x_request-id")).toBe(Name.Lookalike);
  for (const text of ["user_agent", "content_length", "x_forwarded", "x__real_ip", "x_real.ip"])
    expect([text, of(text)]).toEqual([text, Name.Other]);
});
test("names that are long or begin oddly are unknown", () => {
  for (const text of ["x".repeat(31), "x".repeat(32), "x".repeat(5000), "~", "\xff\xff"]) {
    expect(nameOf(latin1(text), 0, text.length)).toBe(Name.Other);
  }
});
test("a word is compared ignoring ASCII case, and no other", () => {
  expect(equalsLower(latin1("..ChunKed"), 2, latin1("chunked"))).toBe(true);
  expect(equalsLower(latin1("chunke\xe4"), 0, latin1("chunked"))).toBe(false);
  expect(equalsLower(latin1("chun"), 0, latin1("chunked"))).toBe(false);
});
