// Files for the control plane: configuration, tokens, state. Errors are sentences for the operator with the system's
// code.

import {
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  openSync,
  readSync,
  renameSync,
  statSync,
  unlinkSync,
  writeSync,
} from "node:fs";

/** Why a file could not be read or written. */
export class FileError extends Error {
  /** "ENOENT", "EACCES", "EISDIR", "EFBIG" (over the limit), "EILSEQ" (not UTF-8) and so on. */
  readonly code: string;
  readonly path: string;

  constructor(path: string, code: string, message: string) {
    super(message);
    this.name = "FileError";
    this.code = code;
    this.path = path;
  }
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: "no such file",
  EACCES: "permission denied",
  EPERM: "not permitted",
  EISDIR: "it is a directory",
  ENOTDIR: "a part of the path is not a directory",
  ENOSPC: "no space left on the device",
  EROFS: "the file system is read-only",
  EMFILE: "no descriptors left",
  ENAMETOOLONG: "the name is too long",
  ELOOP: "too many symbolic links",
};

function fileError(doing: string, path: string, error: unknown): FileError {
  if (error instanceof FileError) return error;
  const code = (error as { code?: string }).code ?? "unknown";
  return new FileError(path, code, `cannot ${doing} ${path}: ${reasons[code] ?? code}`);
}

/** The file's bytes, at most bytesMax of them. Throws FileError; a larger file is EFBIG. */
export function readBytes(path: string, bytesMax: number): Uint8Array {
  let fd = -1;
  try {
    fd = openSync(path, "r");
    if (fstatSync(fd).isDirectory()) throw new FileError(path, "EISDIR", `cannot read ${path}: it is a directory`);
    // Read to the end rather than trust the size: pipes and /proc files have none.
    const pieces: Uint8Array[] = [];
    let total = 0;
    for (;;) {
      const piece = new Uint8Array(64 * 1024);
      const count = readSync(fd, piece, 0, piece.length, null);
      if (count === 0) return Buffer.concat(pieces, total);
      total += count;
      if (total > bytesMax) {
        throw new FileError(path, "EFBIG", `cannot read ${path}: it is larger than ${bytesMax} bytes`);
      }
      pieces.push(piece.subarray(0, count));
    }
  } catch (error) {
    throw fileError("read", path, error);
  } finally {
    if (fd >= 0) closeSync(fd);
  }
}

/** The file as text in UTF-8, a byte order mark removed. Throws FileError, also when the bytes are not UTF-8. */
export function readText(path: string, bytesMax: number): string {
  const bytes = readBytes(path, bytesMax);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new FileError(path, "EILSEQ", `cannot read ${path}: it is not text in UTF-8`);
  }
}

/** The same, or `otherwise` if the file cannot be read. */
export function readTextOr(path: string, bytesMax: number, otherwise: string): string {
  try {
    return readText(path, bytesMax);
  } catch {
    return otherwise;
  }
}

/**
 * What differs whenever the file's content may: when it is written to, replaced, or reached through another symbolic
 * link. "" if there is no such file.
 */
export function fileStamp(path: string): string {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true });
    return `${dev} ${ino} ${size} ${mtimeNs} ${ctimeNs}`;
  } catch {
    return "";
  }
}

export function fileExists(path: string): boolean {
  return existsSync(path);
}

/**
 * Replaces the file as a whole: whoever reads meanwhile, or after a crash, sees the old text or the new. Throws
 * FileError.
 */
export function writeTextAtomic(path: string, text: string, mode = 0o644): void {
  writeAtomic(path, Buffer.from(text, "utf8"), mode);
}

/** As writeTextAtomic, for bytes. */
export function writeAtomic(path: string, bytes: Uint8Array, mode: number): void {
  const temporary = `${path}.${process.pid}.tmp`;
  let fd = -1;
  try {
    fd = openSync(temporary, "w", mode);
    for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at, bytes.length - at);
    fsyncSync(fd);
    closeSync(fd);
    fd = -1;
    renameSync(temporary, path);
  } catch (error) {
    if (fd >= 0) closeSync(fd);
    removeFile(temporary);
    throw fileError("write", path, error);
  }
}

/** Removes a file; one that is not there is no error. */
export function removeFile(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as { code?: string }).code !== "ENOENT") throw fileError("remove", path, error);
  }
}
