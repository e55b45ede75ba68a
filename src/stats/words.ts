// The numbers of the shared columns as the words people see and type, and back.

import { Admin } from "./columns.ts";

export type HealthWord = "unknown" | "up" | "down";
export type AdminWord = "ready" | "drain" | "maint";

const healthWords: readonly HealthWord[] = ["unknown", "up", "down"];
const adminWords: readonly AdminWord[] = ["ready", "drain", "maint"];

/** The word of a Health number; a number out of range is "unknown". */
export function healthWord(health: number): HealthWord {
  return healthWords[health] ?? "unknown";
}

/** The word of an Admin number; a number out of range is "ready". */
export function adminWord(admin: number): AdminWord {
  return adminWords[admin] ?? "ready";
}

/** The Admin number of a word of the configuration or the admin API. */
export function adminOf(word: AdminWord): Admin {
  return word === "drain" ? Admin.Drain : word === "maint" ? Admin.Maint : Admin.Ready;
}

/** True for "ready", "drain" and "maint". */
export function isAdminWord(text: unknown): text is AdminWord {
  return typeof text === "string" && (adminWords as readonly string[]).includes(text);
}
