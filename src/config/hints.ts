// What helps somebody who wrote the wrong kind of value: one function for each kind of leaf, from the found value to a
// hint ("" if there is nothing to say).

import { formatMs } from "../base/duration.ts";
import { durationMsMax } from "../base/limits.ts";
import { show } from "./problem.ts";
import { parseDuration, parseSize } from "./units.ts";

/** From what was found to what helps. */
export type HintFor = (found: unknown) => string;

export const noHint: HintFor = () => "";

/** For text that YAML reads as a number or a boolean. */
export const textHint: HintFor = (found) => {
  return typeof found === "number" || typeof found === "boolean" ? `put it in quotes: "${found}"` : "";
};

export const wholeHint: HintFor = (found) => {
  return typeof found === "string" && /^-?\d+$/.test(found) ? `a number stands without quotes: ${found}` : "";
};

export const booleanHint: HintFor = (found) => {
  if (typeof found !== "string") return "";
  if (/^(true|yes|on)$/i.test(found)) return "write true, without quotes";
  return /^(false|no|off)$/i.test(found) ? "write false, without quotes" : "";
};

export const listHint: HintFor = (found) => {
  if (typeof found === "string") return `write it as a list: [${show(found)}]`;
  return typeof found === "object" && found !== null && !Array.isArray(found) ? "begin each entry with a dash" : "";
};

export const mapHint: HintFor = (found) => (Array.isArray(found) ? "write keys and values, without dashes" : "");

/** For maps that can be switched off. */
export const offHint: HintFor = (found) => (found === false ? "write off" : mapHint(found));

export const bindHint: HintFor = (found) => (typeof found === "number" ? `write 0.0.0.0:${found}` : "");

/** The words of others for the client's address. */
export const keyHint: HintFor = (found) => {
  const word = typeof found === "string" ? found.toLowerCase().replace(/[^a-z]/g, "") : "";
  if (/^(ip|src|client|clientip|sourceip|remoteaddr|binaryremoteaddr|address)$/.test(word)) return "write source";
  return /^(http|req|hdr)?header/.test(word) ? "write header:NAME" : "";
};

/** For what is switched on by true. */
export const trueHint: HintFor = (found) => {
  return typeof found === "string" && /^(true|yes|on)$/i.test(found) ? "write true, without quotes" : offHint(found);
};

export const percentHint: HintFor = (found) => (typeof found === "number" ? `write ${found}%` : "");

export const durationHint: HintFor = (found) => {
  if (found === false) return "write off";
  if (typeof found === "number") return `a duration has a unit: write ${found}s or ${found}ms`;
  if (typeof found !== "string" || parseDuration(found) !== null) return "";
  const match = /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$/i.exec(found);
  if (match === null) return "";
  const unit = unitOf(match[2]!.toLowerCase());
  if (unit === "") return `a duration has a unit: write ${match[1]}s or ${match[1]}ms`;
  const ms = Math.round(Number(match[1]) * parseDuration(`1${unit}`)!);
  return ms < 1 || ms > durationMsMax ? "" : `write ${formatMs(ms)}`;
};

/** "sec", "seconds" and "S" are s; "" for words that begin like no unit. */
function unitOf(word: string): string {
  if (/^(ms|milli|msec)/.test(word)) return "ms";
  const first = word.slice(0, 1);
  return first !== "" && "smhd".includes(first) ? first : "";
}

export const sizeHint: HintFor = (found) => {
  if (typeof found !== "string" || parseSize(found) !== null) return "";
  const match = /^\s*(\d+)\s*([kmg])i?b?\s*$/i.exec(found);
  return match === null ? "" : `write ${match[1]}${match[2]!.toLowerCase()}`;
};
