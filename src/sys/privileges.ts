// Gives up root for good: started as root to bind low ports and read keys, the program carries traffic as somebody
// else.

import { readFileSync } from "node:fs";
import { requireLibc } from "./libc.ts";
import { errorName } from "./platform.ts";

/** Who a process is to become. */
export interface Identity {
  readonly uid: number;
  readonly gid: number;
  /** Supplementary groups, the primary one included. */
  readonly groups: readonly number[];
}

/** A number, as uid and gid are written in configurations. */
const numeric = /^[0-9]{1,9}$/;

function records(file: string): string[][] {
  return readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => line.split(":"));
}

/**
 * Looks up "user", "user:group", or numbers in their place. Without a group it is the user's own with all supplementary
 * ones; a given group is the only one. Throws with a sentence for the operator.
 */
export function lookUpIdentity(name: string, passwdFile = "/etc/passwd", groupFile = "/etc/group"): Identity {
  const [userName = "", groupName, ...rest] = name.split(":");
  if (userName === "" || groupName === "" || rest.length > 0) {
    throw new Error(`user "${name}" is not of the form "user" or "user:group"`);
  }
  const user = records(passwdFile).find((r) => r[0] === userName || (numeric.test(userName) && r[2] === userName));
  if (user === undefined && !numeric.test(userName)) throw new Error(`user "${userName}" is not in ${passwdFile}`);
  const uid = Number(user?.[2] ?? userName);
  const groups = records(groupFile);
  if (groupName !== undefined) {
    const group = groups.find((r) => r[0] === groupName)?.[2] ?? groupName;
    if (!numeric.test(group)) throw new Error(`group "${groupName}" is not in ${groupFile}`);
    return { uid, gid: Number(group), groups: [Number(group)] };
  }
  if (user === undefined) throw new Error(`user ${userName} is not in ${passwdFile}: give the group too, "user:group"`);
  const gid = Number(user[3]);
  const supplementary = groups.filter((r) => (r[3] ?? "").split(",").includes(user[0]!)).map((r) => Number(r[2]));
  return { uid, gid, groups: [...new Set([gid, ...supplementary])] };
}

/**
 * Becomes "user[:group]" in all threads, irrevocably. Nothing to do when it is so already. Throws if it is not
 * allowed.
 */
export function dropPrivileges(name: string): void {
  const identity = lookUpIdentity(name);
  if (process.getuid!() === identity.uid && process.getgid!() === identity.gid) return;
  if (process.geteuid!() !== 0) throw new Error(`cannot become user "${name}": only root can change its user`);
  const c = requireLibc("changing the user");
  const check = (call: string, result: number): void => {
    if (result !== 0) throw new Error(`cannot become user "${name}": ${call} failed with ${errorName(c.errno())}`);
  };
  // In this order: after setuid the others are no longer allowed. The C library applies each to every thread.
  check("setgroups", c.setgroups(identity.groups.length, Uint32Array.from(identity.groups)));
  check("setgid", c.setgid(identity.gid));
  check("setuid", c.setuid(identity.uid));
  if (identity.uid !== 0 && c.setuid(0) === 0) throw new Error(`became user "${name}" but could become root again`);
}
