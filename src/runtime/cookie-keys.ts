// The keys that sticky cookies are sealed with: made once and kept in the state directory, or derived from the
// configuration's secret. Two are in force at a time, so that a change of key, by age or by another secret, costs no
// client its session; the one before last is forgotten.

import { cookieKeyMs } from "../base/limits.ts";
import { LogLevel } from "../base/ports.ts";
import { reasonOf } from "../base/reason.ts";
import { deriveKey, randomBytes, KEY_BYTES } from "../sys/sealer.ts";
import type { StateDirectory } from "../sys/state-directory.ts";
import type { Journal } from "./journal.ts";

interface CookieKey {
  /** KEY_BYTES in hexadecimal. */
  readonly hex: string;
  /** Seconds since the Unix epoch. */
  readonly sinceS: number;
}

const fileName = "cookie-keys";
const fileBytesMax = 4096;
const keysMax = 2;
const purpose = "sluice sticky cookies 1";
const heading =
  "# Keys of sticky cookies, the newest first, each with the second it was made in. Whoever has them can make\n" +
  "# cookies: keep this file to yourself. Without it the next start makes new keys, and clients lose sessions.\n";

export class CookieKeys {
  private readonly journal: Journal;
  /** As of the last call: what stands when there is no file. */
  private known: readonly CookieKey[] = [];

  constructor(journal: Journal) {
    this.journal = journal;
  }

  /**
   * The keys in force, newest first, in hexadecimal. secret: of the configuration, or null. state: null = there is no
   * place to keep them, and they live as long as this process.
   */
  inForce(secret: string | null, state: StateDirectory | null, wallMs: number): readonly string[] {
    const nowS = Math.floor(wallMs / 1000); // the file knows whole seconds
    const stored = state === null ? null : this.read(state);
    const before = stored === null || stored.length === 0 ? this.known : stored;
    this.known = secret === null ? madeKeys(before, nowS) : secretKeys(before, secret, nowS);
    if (state !== null && stored !== null && this.known !== stored) this.store(state, stored, secret === null);
    return this.known.map(({ hex }) => hex);
  }

  /** The keys of the file, none if there is no file; null when it must not be touched. */
  private read(state: StateDirectory): readonly CookieKey[] | null {
    try {
      const bytes = state.read(fileName, fileBytesMax);
      const keys = bytes === null ? [] : parseKeys(new TextDecoder().decode(bytes));
      if (keys !== null) return keys;
      this.warn(`${state.path}/${fileName} is damaged; delete it to have new keys made`);
    } catch (error) {
      this.warn(reasonOf(error));
    }
    return null;
  }

  private store(state: StateDirectory, stored: readonly CookieKey[], own: boolean): void {
    const bytes = new TextEncoder().encode(formatKeys(this.known));
    try {
      if (stored.length > 0) state.write(fileName, bytes);
      else if (!state.create(fileName, bytes) && own) {
        // Another balancer began at the same moment, and both are to have the same keys.
        const theirs = this.read(state);
        if (theirs !== null && theirs.length > 0) this.known = theirs;
      }
    } catch (error) {
      this.warn(reasonOf(error));
    }
  }

  private warn(reason: string): void {
    this.journal.record(LogLevel.Warn, "keys of sticky cookies cannot be kept across a restart", { reason });
  }
}

/** Keys of our own: a first one, or a new one when the newest is of age. */
function madeKeys(before: readonly CookieKey[], nowS: number): readonly CookieKey[] {
  const newest = before[0];
  if (newest !== undefined && nowS - newest.sinceS < cookieKeyMs / 1000) return before;
  return [{ hex: hexOf(randomBytes(KEY_BYTES)), sinceS: nowS }, ...before].slice(0, keysMax);
}

/** The key of this secret, and the one before it. */
function secretKeys(before: readonly CookieKey[], secret: string, nowS: number): readonly CookieKey[] {
  const hex = hexOf(deriveKey(new TextEncoder().encode(secret), purpose));
  if (before[0]?.hex === hex) return before;
  return [{ hex, sinceS: nowS }, ...before.filter((key) => key.hex !== hex)].slice(0, keysMax);
}

function formatKeys(keys: readonly CookieKey[]): string {
  return heading + keys.map(({ hex, sinceS }) => `${hex} ${sinceS}\n`).join("");
}

/** null if the text is not what formatKeys() makes, give or take comments and white space. */
function parseKeys(text: string): readonly CookieKey[] | null {
  const lines = text.split("\n").map((line) => line.trim());
  const keys: CookieKey[] = [];
  for (const line of lines.filter((one) => one !== "" && !one.startsWith("#"))) {
    const match = /^([0-9a-f]{64}) (\d{1,12})$/.exec(line);
    if (match === null) return null;
    keys.push({ hex: match[1]!, sinceS: Number(match[2]) });
  }
  return keys.length === 0 || keys.length > keysMax ? null : keys;
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
