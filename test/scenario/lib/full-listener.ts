// A port whose listener never accepts and whose queue is full: a connect to it gets no answer at all.

import { closeFd, createListener } from "../../../src/sys/listen-socket.ts";
import { connect } from "./client.ts";

export interface FullListener extends AsyncDisposable {
  readonly address: string;
}

/** The kernel queues one connection more than the backlog says. */
const QUEUED = 2;

export async function startFullListener(): Promise<FullListener> {
  const { fd, port } = createListener(
    { ip: "127.0.0.1", port: 0, unixPath: null },
    { backlog: QUEUED - 1, reusePort: false },
  );
  const address = `127.0.0.1:${port}`;
  const clients = await Promise.all(Array.from({ length: QUEUED }, () => connect(address)));
  return {
    address,
    [Symbol.asyncDispose]() {
      closeFd(fd);
      for (const client of clients) client[Symbol.dispose]();
      return Promise.resolve();
    },
  };
}
