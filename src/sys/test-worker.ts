// The worker process of this folder's tests: does what the test says over IPC. Not used by the program.

import { createClock } from "./clock.ts";
import { CHANNEL_FD, exit, MEMORY_FD, onParentGone, onParentMessage, role, sendToParent } from "./process.ts";
import { argv, env } from "./process.ts";
import { receiveFd } from "./fd-passing.ts";
import { openSharedMemory } from "./shm.ts";
import { createNet } from "./net.ts";

/** What the tests say to a worker. */
export type Order =
  | { readonly do: "echo"; readonly value: unknown }
  | { readonly do: "time" }
  /** Takes a listening socket from the channel and answers every client with this worker's name. */
  | { readonly do: "serve"; readonly port: number }
  /** Atomically adds 1 to int32 number `index` of the shared memory, `times` times. */
  | { readonly do: "count"; readonly index: number; readonly times: number }
  | { readonly do: "exit"; readonly code: number };

const name = env("TEST_NAME") ?? "";
const memoryBytes = Number(env("TEST_MEMORY_BYTES") ?? 0);
const memory = memoryBytes > 0 ? new Int32Array(openSharedMemory(MEMORY_FD, memoryBytes).buffer) : null;
const clock = createClock();
const net = createNet({ onError: (error) => sendToParent({ error: String(error) }), keepAliveMs: 0 });
const greeting = new TextEncoder().encode(name);

async function serve(port: number): Promise<void> {
  const { fd, tag } = await receiveFd(CHANNEL_FD);
  net.adopt(fd, port, (connection) => {
    connection.write(greeting, 0, greeting.length);
    connection.finish();
    return { onOpen() {}, onData() {}, onDrain() {}, onFinish() {}, onClose() {} };
  });
  sendToParent({ serving: tag });
}

function count(index: number, times: number): void {
  for (let i = 0; i < times; i++) Atomics.add(memory!, index, 1);
  sendToParent({ counted: times });
}

onParentMessage((message) => {
  const order = message as Order;
  if (order.do === "echo") sendToParent({ name, role: role(), argv: argv(), value: order.value });
  else if (order.do === "time") sendToParent({ nowMs: clock.nowMs() });
  else if (order.do === "count") count(order.index, order.times);
  else if (order.do === "exit") exit(order.code);
  else serve(order.port).catch((error: unknown) => sendToParent({ error: String(error) }));
});
onParentGone(() => {
  if (memory !== null) Atomics.store(memory, 0, 1);
  exit(0);
});
setInterval(() => {}, 1000); // as the timer wheel would, keeps the process
sendToParent({ ready: true });
