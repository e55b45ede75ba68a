// Where passwords wait to be compared with their hashes. A comparison is slow on purpose, so few are under way at once
// and few wait: whoever floods us with logins gets 503, and nobody else's requests become slower.

import { passwordChecksMax, passwordQueueMax } from "../base/limits.ts";
import type { PasswordChecker } from "../base/passwords.ts";

interface Check {
  readonly password: Uint8Array;
  readonly hash: string;
  readonly done: (fits: boolean) => void;
}

/** One for each worker. */
export class PasswordDesk {
  private readonly checker: PasswordChecker;
  private readonly waiting: Check[] = [];
  private underWay = 0;

  constructor(checker: PasswordChecker) {
    this.checker = checker;
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
    for (let check: Check | undefined = first; check !== undefined; check = this.waiting.shift()) {
      let fits = false;
      try {
        fits = await this.checker.check(check.password, check.hash);
      } catch {
        // A hash that the validator let pass and the checker does not know: nothing fits it.
      }
      check.done(fits);
    }
    this.underWay--;
  }
}
