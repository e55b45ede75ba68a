// Where passwords wait to be compared with their hashes. A comparison is slow on purpose, so few are under way at once
// and few wait: whoever floods us with logins gets 503, and nobody else's requests become slower.

import type { HashSeed } from "../base/keyed-hash.ts";
import { passwordChecksMax, passwordQueueMax } from "../base/limits.ts";
import type { PasswordChecker } from "../base/passwords.ts";

interface Check {
  readonly password: Uint8Array;
  readonly hash: string;
  readonly done: (fits: boolean) => void;
}

/** What those who ask see of it. */
export type Passwords = Pick<PasswordDesk, "seeds" | "isFull" | "compare">;

/** One for each worker. */
export class PasswordDesk {
  /** Keys of the hashes under which verdicts are remembered. */
  readonly seeds: readonly [HashSeed, HashSeed];
  private readonly checker: PasswordChecker;
  private readonly waiting: Check[] = [];
  private underWay = 0;

  /** secret: 16 random bytes that are fit for secrets, this worker's own. */
  constructor(checker: PasswordChecker, secret: Uint8Array) {
    this.checker = checker;
    const words = new DataView(secret.buffer, secret.byteOffset, 16);
    const seedAt = (at: number): HashSeed => ({ k0: words.getInt32(at), k1: words.getInt32(at + 4) });
    this.seeds = [seedAt(0), seedAt(8)];
  }

  get isFull(): boolean {
    return this.waiting.length >= passwordQueueMax;
  }

  /** Compares; done is called later, never from within. Must not be called when the desk is full. */
  compare(password: Uint8Array, hash: string, done: (fits: boolean) => void): void {
    const check = { password, hash, done };
    if (this.underWay < passwordChecksMax) void this.work(check);
    else this.waiting.push(check);
  }

  private async work(first: Check): Promise<void> {
    this.underWay++;
    try {
      for (let check: Check | undefined = first; check !== undefined; check = this.waiting.shift()) {
        check.done(await this.fits(check));
      }
    } finally {
      this.underWay--; // also if somebody could not bear to hear it
    }
  }

  private async fits({ password, hash }: Check): Promise<boolean> {
    try {
      return await this.checker.check(password, hash);
    } catch {
      return false; // a hash that the validator let pass and the checker does not know: nothing fits it
    }
  }
}
