// The watchdog thread of the fuzz driver: a target that loops for ever blocks the main thread, so this one prints the
// input and ends the process.

const STUCK_MS = 30_000;
const CHECK_MS = 1000;

let target = "";
let shared: SharedArrayBuffer | null = null;
let lastRun = -1;
let stuckSinceMs = 0;

declare const self: Worker;
self.onmessage = (event: MessageEvent) => {
  const message = event.data as { readonly shared: SharedArrayBuffer; readonly target: string };
  shared = message.shared;
  target = message.target;
};

setInterval(() => {
  if (shared === null) return;
  const numbers = new Int32Array(shared, 0, 2);
  const run = Atomics.load(numbers, 0);
  const nowMs = performance.now();
  if (run !== lastRun) {
    lastRun = run;
    stuckSinceMs = nowMs;
    return;
  }
  if (nowMs - stuckSinceMs < STUCK_MS) return;
  const input = new Uint8Array(shared, 8).slice(0, Atomics.load(numbers, 1));
  console.error(
    `finding in ${target}: no end after ${STUCK_MS} ms\ninput (base64): ${Buffer.from(input).toString("base64")}`,
  );
  process.kill(process.pid, "SIGKILL");
}, CHECK_MS);
