// Waiting for a condition with a deadline: what scenarios do instead of sleeping.

/** How long to wait, and the words for the error. */
export interface WaitOptions {
  /** What is waited for, to complete "timed out after 5000 ms waiting for ...". */
  readonly what: string;
  /** Default 5000. */
  readonly timeoutMs?: number;
  /** Pause between two looks; default 10. */
  readonly everyMs?: number;
}

const TIMEOUT_MS = 5000;
const EVERY_MS = 10;

/**
 * Calls the condition until it returns something other than false, null or undefined, and returns that. A condition
 * that throws is asked again; when time is up the last error, or the last value, is told. The condition is always asked
 * at least once, and a last time after the deadline, so that a slow machine does not fail what has come true.
 */
export async function waitFor<T>(
  condition: () => T | Promise<T>,
  options: WaitOptions,
): Promise<Exclude<T, false | null | undefined>> {
  const timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const last = performance.now() >= deadline;
    let seen: string;
    try {
      const value = await condition();
      if (value !== false && value !== null && value !== undefined)
        return value as Exclude<T, false | null | undefined>;
      seen = String(value);
    } catch (error) {
      seen = error instanceof Error ? error.message : String(error);
    }
    if (last) throw new Error(`timed out after ${timeoutMs} ms waiting for ${options.what} (last seen: ${seen})`);
    await Bun.sleep(options.everyMs ?? EVERY_MS);
  }
}

/** The promise's value, or an error that says what did not come in time. The promise itself is not stopped. */
export async function within<T>(promise: Promise<T>, timeoutMs: number, what: () => string): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`timed out after ${timeoutMs} ms waiting for ${what()}`)), timeoutMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
