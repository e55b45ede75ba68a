// Which hashes a configuration may have. Whether they are taken by the one who checks is tested there.

import { expect, test } from "bun:test";
import { passwordHashProblem } from "./passwords.ts";

const body = "garej2f5FBfA9OjWsd0MZ.KLuBMSa/H2tV9MiVh4dPadHL2KBt6AO";
const salt = "c29tZXNhbHQ";
const digest = "bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc";

test.each([
  `$2y$05$${body}`,
  `$2a$12$${body}`,
  `$2b$16$${body}`,
  `$argon2id$v=19$m=65536,t=2,p=1$${salt}$${digest}`,
  `$argon2i$v=19$m=8,t=1,p=1$${salt}$${digest}`,
  `$argon2d$v=19$m=1048576,t=100,p=16$${salt}$${digest}`,
  `$5$saltstring$${"a".repeat(43)}`,
  `$5$$${"a".repeat(43)}`,
  `$6$rounds=1000000$0123456789abcdef$${"a".repeat(86)}`,
])("%s", (hash) => {
  expect(passwordHashProblem(hash)).toBeNull();
});

test.each([
  ["", "must be bcrypt"],
  ["secret", "must be bcrypt"],
  ["$apr1$salt$hash", "htpasswd -B"],
  ["{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", "htpasswd -B"],
  [`$2b$10$${body.slice(1)}`, "60 characters"],
  [`$2b$10$${body}x`, "60 characters"],
  [`$2x$10$${body}`, "must be bcrypt"],
  [`$2b$03$${body}`, "cost 3"],
  [`$2b$17$${body}`, "cost 17"],
  [`$argon2id$m=65536,t=2,p=1$${salt}$${digest}`, "not a whole argon2"],
  [`$argon2id$v=16$m=65536,t=2,p=1$${salt}$${digest}`, "not a whole argon2"],
  [`$argon2id$v=19$m=65536,t=0,p=1$${salt}$${digest}`, "t=0"],
  [`$argon2id$v=19$m=65536,t=2,p=0$${salt}$${digest}`, "p=0"],
  [`$argon2id$v=19$m=15,t=2,p=2$${salt}$${digest}`, "m=15"],
  [`$argon2id$v=19$m=1048577,t=2,p=1$${salt}$${digest}`, "m=1048577"],
  [`$argon2id$v=19$m=65536,t=2,p=1$c29tc2FsdA$${digest}`, "salt"],
  [`$argon2id$v=19$m=65536,t=2,p=1$${salt}$bQk8`, "hash shorter"],
  [`$5$saltstring$${"a".repeat(86)}`, "not a whole SHA-crypt"],
  [`$6$0123456789abcdefg$${"a".repeat(86)}`, "not a whole SHA-crypt"],
  [`$6$rounds=999$salt$${"a".repeat(86)}`, "rounds=999"],
  [`$6$rounds=1000001$salt$${"a".repeat(86)}`, "rounds=1000001"],
])("%s: the hash %s", (hash, problem) => {
  expect(passwordHashProblem(hash)).toContain(problem);
});
