// Hashes of passwords as configurations have them, and who checks a password against one. What they are and whether
// they are well formed; the arithmetic is behind the port.

/** Checks passwords, somewhere off the thread that carries traffic. Implemented in sys/. */
export interface PasswordChecker {
  /** True if the hash is of these bytes. Takes tens of milliseconds by design. Never rejects for a well-formed hash. */
  check(password: Uint8Array, hash: string): Promise<boolean>;
}

/** Costlier hashes would keep a worker's threads busy for seconds with one login. */
const bcryptCostMax = 16;
const argon2KibMax = 1024 * 1024;
const argon2TimesMax = 100;
const argon2LanesMax = 16;
const shaRoundsMax = 1_000_000;

const argon2 = /^\$argon2(?:id|i|d)\$v=19\$m=(\d{1,9}),t=(\d{1,9}),p=(\d{1,9})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/;
const bcrypt = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/;
/** rounds, salt, hash. */
export const shaCrypt = /^\$([56])\$(?:rounds=(\d{1,9})\$)?([^$:\s]{0,16})\$([./A-Za-z0-9]+)$/;

/** What is wrong with the hash, as the end of a sentence that begins with "the hash"; null = nothing. */
export function passwordHashProblem(hash: string): string | null {
  if (/^\$2[aby]\$/.test(hash)) return bcryptProblem(hash);
  if (hash.startsWith("$argon2")) return argon2Problem(hash);
  if (/^\$[56]\$/.test(hash)) return shaCryptProblem(hash);
  if (hash.startsWith("$apr1$") || hash.startsWith("$1$") || hash.startsWith("{SHA}"))
    return "is of a kind that is guessed too fast (MD5 or SHA-1): make one with `htpasswd -B`";
  return "must be bcrypt ($2b$…, as `htpasswd -B` makes it), argon2 ($argon2id$…) or SHA-crypt ($5$…, $6$…)";
}

function bcryptProblem(hash: string): string | null {
  const cost = Number(bcrypt.exec(hash)?.[1] ?? Number.NaN);
  if (Number.isNaN(cost)) return "is not a whole bcrypt hash: 60 characters, as in $2b$10$ and 53 more";
  return cost >= 4 && cost <= bcryptCostMax ? null : `has cost ${cost}: 4 to ${bcryptCostMax} are possible`;
}

function argon2Problem(hash: string): string | null {
  const found = argon2.exec(hash);
  if (found === null) return "is not a whole argon2 hash: $argon2id$v=19$m=65536,t=2,p=1$SALT$HASH";
  const [memory, times, lanes] = found.slice(1, 4).map(Number) as [number, number, number];
  if (lanes < 1 || lanes > argon2LanesMax) return `has p=${lanes}: 1 to ${argon2LanesMax} are possible`;
  if (times < 1 || times > argon2TimesMax) return `has t=${times}: 1 to ${argon2TimesMax} are possible`;
  if (memory < 8 * lanes || memory > argon2KibMax)
    return `has m=${memory}: ${8 * lanes} to ${argon2KibMax} are possible`;
  if (bytesOf(found[4]!) < 8) return "has a salt shorter than 8 bytes";
  return bytesOf(found[5]!) < 4 ? "has a hash shorter than 4 bytes" : null;
}

function bytesOf(base64: string): number {
  return Math.floor((base64.length * 6) / 8);
}

function shaCryptProblem(hash: string): string | null {
  const found = shaCrypt.exec(hash);
  const [, kind, rounds, , digest] = found ?? [];
  if (digest === undefined || digest.length !== (kind === "5" ? 43 : 86))
    return "is not a whole SHA-crypt hash: $6$SALT$ and 86 characters, or $5$SALT$ and 43";
  if (rounds !== undefined && (Number(rounds) < 1000 || Number(rounds) > shaRoundsMax))
    return `has rounds=${rounds}: 1000 to ${shaRoundsMax} are possible`;
  return null;
}
