// Dates as text in the two forms that messages carry. Each keeps the text of the last second, for dates are asked for
// many times a second.

import type { Scratch } from "./bytes.ts";

let httpSecond = -1;
let httpText = "";
let isoSecond = -1;
let isoText = "";

/** Appends IMF-fixdate (RFC 9110 5.6.7): "Sun, 06 Nov 1994 08:49:37 GMT". wallMs since 1970. */
export function putHttpDate(out: Scratch, wallMs: number): void {
  const second = Math.floor(wallMs / 1000);
  if (second !== httpSecond) {
    httpText = new Date(second * 1000).toUTCString();
    httpSecond = second;
  }
  out.putText(httpText);
}

/** Appends ISO 8601 in UTC with milliseconds: "1994-11-06T08:49:37.000Z". wallMs since 1970. */
export function putIsoTime(out: Scratch, wallMs: number): void {
  const second = Math.floor(wallMs / 1000);
  if (second !== isoSecond) {
    isoText = new Date(second * 1000).toISOString().slice(0, 20);
    isoSecond = second;
  }
  const millis = Math.floor(wallMs) - second * 1000;
  out.putText(isoText);
  out.putByte(48 + Math.floor(millis / 100));
  out.putByte(48 + (Math.floor(millis / 10) % 10));
  out.putByte(48 + (millis % 10));
  out.putByte(90);
}
