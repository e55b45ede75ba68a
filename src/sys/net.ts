// The real Net: on the reactor where there is one, else on Bun's sockets.

import type { Net } from "../base/ports.ts";
import { createBunNet } from "./bun-net.ts";
import { createEpollNet } from "./epoll-net.ts";
import { libc } from "./libc.ts";
import type { NetOptions } from "./net-options.ts";
import { reactor } from "./reactor.ts";

/** The real network of this system. */
export function createNet(options: NetOptions): Net {
  const loop = libc === null || process.env["SLUICE_NET"] === "bun" ? null : reactor();
  return loop === null ? createBunNet(options) : createEpollNet(options, loop);
}
