// Durations, sizes and percentages as people write them, into numbers and back. One number and one unit, no fractions:
// what a file says is exactly what it means.

import { durationMsMax } from "../base/limits.ts";

const msOf: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const bytesOf: Readonly<Record<string, number>> = { "": 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 };

export const durationPattern = "^\\d+(ms|s|m|h|d)$";
export const sizePattern = "^\\d+[kmg]?$";
export const percentPattern = "^\\d+%$";

/** Milliseconds of "250ms", "10s", "5m", "1h", "1d"; null when malformed or longer than durationMsMax. */
export function parseDuration(text: string): number | null {
  const match = /^(\d{1,15})(ms|s|m|h|d)$/.exec(text);
  if (match === null) return null;
  const ms = Number(match[1]) * msOf[match[2]!]!;
  return ms <= durationMsMax ? ms : null;
}

/** Bytes of "64k", "8m", "2g" (powers of 1024) or a bare number; null when malformed or beyond exact numbers. */
export function parseSize(text: string): number | null {
  const match = /^(\d{1,16})([kmg]?)$/.exec(text);
  if (match === null) return null;
  const bytes = Number(match[1]) * bytesOf[match[2]!]!;
  return Number.isSafeInteger(bytes) ? bytes : null;
}

/** "64k", "8m", "2g" or the bare number: the largest unit that says bytes exactly. */
export function formatSize(bytes: number): string {
  for (const unit of ["g", "m", "k"]) {
    const length = bytesOf[unit]!;
    if (bytes >= length && bytes % length === 0) return `${bytes / length}${unit}`;
  }
  return String(bytes);
}

/** 125 of "125%"; null when malformed. */
export function parsePercent(text: string): number | null {
  return /^\d{1,6}%$/.test(text) ? Number(text.slice(0, -1)) : null;
}

/** 12.5 of "12.5%", with up to two decimal places; null when malformed. */
export function parseFinePercent(text: string): number | null {
  return /^\d{1,6}(\.\d{1,2})?%$/.test(text) ? Number(text.slice(0, -1)) : null;
}

/** The text that parseFinePercent reads as the same number. */
export function formatPercent(percent: number): string {
  return `${percent}%`;
}
