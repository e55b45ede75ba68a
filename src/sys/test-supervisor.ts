// A supervisor process for the test that kills one: starts a worker on the inherited memory and waits. Not used by
// the program.

import { env, MEMORY_FD, spawnWorker } from "./process.ts";

spawnWorker({
  args: [],
  env: {},
  channelFd: null,
  memoryFd: MEMORY_FD,
  onMessage: () => console.log("ready"),
  onExit: () => {},
  script: env("TEST_WORKER")!,
});
