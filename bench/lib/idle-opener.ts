// A child process that holds many idle keep-alive connections. Arguments: port, count, path. Speaks lines: prints
// "ready N" when N connections were opened and each had one answer; for "again" on standard input it uses each
// connection once more and prints "again N" with the number of good answers. Ends with its standard input.

import { createInterface } from "node:readline";

interface Held {
  socket: Bun.Socket<Held> | null;
  text: string;
  /** Set while an answer is awaited: hears true for a whole 200, false when the connection closed. */
  answered: ((good: boolean) => void) | null;
}

// Few at a time, so that the proxy needs no more upstream connections than in an ordinary hour.
const IN_FLIGHT = 32;

const port = Number(process.argv[2]);
const count = Number(process.argv[3]);
const request = `GET ${process.argv[4]} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUser-Agent: idle-opener\r\n\r\n`;

/** True when the text holds a whole answer with Content-Length. */
function isComplete(text: string): boolean {
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return false;
  const length = /^content-length: *(\d+)\r$/im.exec(text.slice(0, end + 1));
  return length !== null && text.length - end - 4 >= Number(length[1]);
}

function settle(held: Held, good: boolean): void {
  const answered = held.answered;
  held.answered = null;
  answered?.(good);
}

const handlers: Bun.SocketHandler<Held> = {
  data(socket, bytes) {
    const held = socket.data;
    held.text += bytes.toString("latin1");
    if (!isComplete(held.text)) return;
    const good = held.text.startsWith("HTTP/1.1 200 ");
    held.text = "";
    settle(held, good);
  },
  close(socket) {
    socket.data.socket = null;
    settle(socket.data, false);
  },
  error() {},
};

function ask(held: Held): Promise<boolean> {
  if (held.socket === null) return Promise.resolve(false);
  return new Promise((resolve) => {
    held.answered = resolve;
    held.socket?.write(request);
  });
}

async function open(): Promise<Held> {
  const held: Held = { socket: null, text: "", answered: null };
  try {
    held.socket = await Bun.connect({ hostname: "127.0.0.1", port, data: held, socket: handlers });
  } catch {
    // counted as a bad answer
  }
  return held;
}

/** Runs the task for 0 to count - 1, a few at a time; returns how many were good. */
async function eachOf(task: (index: number) => Promise<boolean>): Promise<number> {
  let next = 0;
  let good = 0;
  const lane = async (): Promise<void> => {
    while (next < count) if (await task(next++)) good++;
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
  return good;
}

const all: Held[] = [];
const ready = await eachOf(async () => {
  const held = await open();
  all.push(held);
  return ask(held);
});
console.log(`ready ${ready}`);
for await (const line of createInterface({ input: process.stdin })) {
  if (line === "again") console.log(`again ${await eachOf((index) => ask(all[index]!))}`);
}
process.exit(0);
