// The directory for what must survive restarts: where it is, and files in it that nobody else may read.

import { accessSync, constants, linkSync, mkdirSync, statSync } from "node:fs";
import { FileError, readBytes, removeFile, writeAtomic } from "./files.ts";

export interface StateDirectory {
  readonly path: string;
  /** null = there is no such file. Throws FileError. */
  read(name: string, bytesMax: number): Uint8Array | null;
  /** Replaces the file as a whole, readable by its owner alone. Throws FileError. */
  write(name: string, bytes: Uint8Array): void;
  /** As write(), but false if somebody else has made the file meanwhile: then it is theirs. */
  create(name: string, bytes: Uint8Array): boolean;
}

const ownerOnly = 0o600;
const ownerOnlyDirectory = 0o700;

/**
 * Opens the state directory, made if it is not there: the configured one, or else the first that can be written of
 * $SLUICE_STATE, /var/lib/sluice, $XDG_STATE_HOME/sluice and ~/.local/state/sluice. Throws an Error that names them.
 */
export function openStateDirectory(
  configured: string | null,
  variables: Readonly<Record<string, string | undefined>>,
): StateDirectory {
  const places = configured === null ? statePlaces(variables) : [configured];
  const troubles: string[] = [];
  for (const path of places) {
    const trouble = prepare(path);
    if (trouble === "") return directoryAt(path);
    troubles.push(`${path}: ${trouble}`);
  }
  throw new Error(troubles.length === 0 ? "no place is known for it" : troubles.join("; "));
}

/** Where it may be: a place that was named is the only one; else the system's, then the user's own. */
export function statePlaces(variables: Readonly<Record<string, string | undefined>>): string[] {
  const { SLUICE_STATE: named, XDG_STATE_HOME: states, HOME: home } = variables;
  if (named !== undefined && named !== "") return [named];
  const places = ["/var/lib/sluice"];
  // The specification of XDG base directories: relative paths are to be ignored.
  if (states?.startsWith("/") === true) places.push(`${states}/sluice`);
  else if (home?.startsWith("/") === true) places.push(`${home}/.local/state/sluice`);
  return places;
}

/** Makes the directory if need be; "" or why it is of no use. */
function prepare(path: string): string {
  try {
    mkdirSync(path, { recursive: true, mode: ownerOnlyDirectory });
    if (!statSync(path).isDirectory()) return "it is not a directory";
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK);
    return "";
  } catch (error) {
    const { code } = error as { code?: string };
    return code === "EEXIST" || code === "ENOTDIR" ? "it is not a directory" : `it cannot be written (${code})`;
  }
}

function directoryAt(path: string): StateDirectory {
  return {
    path,
    read(name, bytesMax) {
      try {
        return readBytes(`${path}/${name}`, bytesMax);
      } catch (error) {
        if (error instanceof FileError && error.code === "ENOENT") return null;
        throw error;
      }
    },
    write: (name, bytes) => writeAtomic(`${path}/${name}`, bytes, ownerOnly),
    create(name, bytes) {
      // Written aside and then given its name, which fails if the name is taken: the file is there whole or not at all.
      const aside = `${path}/${name}.${process.pid}.new`;
      writeAtomic(aside, bytes, ownerOnly);
      try {
        linkSync(aside, `${path}/${name}`);
        return true;
      } catch (error) {
        const { code } = error as { code?: string };
        if (code === "EEXIST") return false;
        throw new FileError(`${path}/${name}`, code ?? "unknown", `cannot create ${path}/${name}: ${code}`);
      } finally {
        removeFile(aside);
      }
    },
  };
}
