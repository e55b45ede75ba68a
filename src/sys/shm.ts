// Memory that supervisor and workers share: an anonymous file (memfd), or where the system has none a file that is
// unlinked as soon as it is open. Either way it disappears with the last process that holds it, also after kill -9. A
// worker gets the descriptor at its start and maps it; so does a restarted one.

import { closeSync, ftruncateSync, openSync, readdirSync, unlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { libc } from "./libc.ts";

export interface SharedMemory {
  /** Zero-filled at creation. Mapped for as long as this buffer or a view of it is reachable. */
  readonly buffer: ArrayBuffer;
  /** Descriptor to hand to workers; kept open by the creator. */
  readonly fd: number;
  readonly bytes: number;
}

const MFD_CLOEXEC = 1;

/**
 * Makes and maps shared memory of this many bytes. Untouched pages cost nothing. Throws when no directory is
 * writable.
 */
export function createSharedMemory(bytes: number): SharedMemory {
  const fd = createAnonymous(bytes);
  if (fd >= 0) return { buffer: map(`/proc/self/fd/${fd}`, bytes), fd, bytes };
  let failure: unknown = null;
  for (const directory of ["/dev/shm", tmpdir()]) {
    try {
      return createIn(directory, bytes);
    } catch (error) {
      failure = error;
    }
  }
  throw new Error("cannot create shared memory: neither /dev/shm nor the temporary directory is writable", {
    cause: failure,
  });
}

/** Worker: maps the memory whose descriptor was inherited. Must run before privileges are dropped. */
export function openSharedMemory(fd: number, bytes: number): SharedMemory {
  return { buffer: map(process.platform === "linux" ? `/proc/self/fd/${fd}` : `/dev/fd/${fd}`, bytes), fd, bytes };
}

function map(path: string, bytes: number): ArrayBuffer {
  const view = Bun.mmap(path, { shared: true });
  if (view.byteLength < bytes) throw new Error(`shared memory has ${view.byteLength} bytes, expected ${bytes}`);
  return view.buffer;
}

function createAnonymous(bytes: number): number {
  if (libc === null || libc.memfd_create === null) return -1;
  const fd = libc.memfd_create(new TextEncoder().encode("sluice\0"), MFD_CLOEXEC);
  if (fd >= 0 && libc.ftruncate(fd, bytes) !== 0) {
    libc.close(fd);
    return -1;
  }
  return fd;
}

const filePrefix = "sluice-shm-";

/** Exported for tests: the way without memfd. */
export function createIn(directory: string, bytes: number): SharedMemory {
  sweepStale(directory);
  const random = crypto.getRandomValues(new Uint32Array(1))[0]!.toString(16);
  const path = `${directory}/${filePrefix}${process.pid}-${random}`;
  const fd = openSync(path, "wx+", 0o600);
  try {
    ftruncateSync(fd, bytes);
    return { buffer: map(path, bytes), fd, bytes };
  } catch (error) {
    closeSync(fd);
    throw error;
  } finally {
    unlinkSync(path);
  }
}

/** Removes files of processes that died between creating and unlinking theirs. */
export function sweepStale(directory: string): void {
  for (const name of readdirSync(directory)) {
    if (!name.startsWith(filePrefix)) continue;
    const owner = Number.parseInt(name.slice(filePrefix.length), 10);
    if (Number.isNaN(owner) || isAlive(owner)) continue;
    try {
      unlinkSync(`${directory}/${name}`);
    } catch {
      // Somebody else's, or just removed by another start.
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as { code?: string }).code === "EPERM";
  }
}
