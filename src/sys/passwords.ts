// Checks passwords against their hashes: bcrypt and argon2 by the runtime, on its own threads; SHA-crypt in small
// pieces.

import type { PasswordChecker } from "../base/passwords.ts";
import { shaCryptDigest } from "./sha-crypt.ts";

/** bcrypt looks at no more of a password. The runtime would hash a longer one first, which no other program does. */
const bcryptBytesMax = 72;

export const passwordChecker: PasswordChecker = {
  async check(password, hash) {
    if (/^\$[56]\$/.test(hash))
      return sameText(hash.slice(hash.lastIndexOf("$") + 1), await shaCryptDigest(password, hash));
    return Bun.password.verify(hash.startsWith("$2") ? password.subarray(0, bcryptBytesMax) : password, hash);
  },
};

/** In a time that does not tell where they differ. */
function sameText(a: string, b: string): boolean {
  let difference = a.length ^ b.length;
  for (let i = 0; i < a.length; i++) difference |= a.charCodeAt(i) ^ b.charCodeAt(i);
  return difference === 0;
}
