// A WebSocket client for scenarios, on the ws package.

import type { WebSocket } from "ws";
import { within } from "./wait.ts";

/** One WebSocket; text and binary messages are both given as text (Latin-1 for binary). */
export interface WebSocketClient extends Disposable {
  send(message: string | Uint8Array): void;
  /** The next message, in order; waits for it. Rejects when the socket closes first. */
  next(timeoutMs?: number): Promise<string>;
  /** Sends and returns the next message: with an echoing origin, what was sent. */
  echo(message: string): Promise<string>;
  isOpen(): boolean;
  /** Close code once it is closed (1006 = without a close frame), null before. */
  closeCode(): number | null;
  /** The closing handshake; resolves with the close code. */
  close(code?: number, timeoutMs?: number): Promise<number>;
}

const TIMEOUT_MS = 5000;

// By path: Bun replaces the bare name "ws" by its own client, and another implementation than the runtime's is wanted
// here.
const Socket = (await import(new URL("../../../node_modules/ws/wrapper.mjs", import.meta.url).href)) as {
  readonly WebSocket: new (url: string, protocols: readonly string[], options: object) => WebSocket;
};

/** Opens "ws://host:port/path". Rejects with the reason when the handshake is refused. */
export async function openWebSocket(
  url: string,
  options: { readonly protocols?: readonly string[]; readonly headers?: Readonly<Record<string, string>> } = {},
): Promise<WebSocketClient> {
  const socket = new Socket.WebSocket(url, options.protocols ?? [], { headers: options.headers ?? {} });
  const messages: string[] = [];
  let closeCode: number | null = null;
  let wake = (): void => {};
  const nextEvent = (): Promise<void> => new Promise((resolve) => (wake = resolve));
  socket.on("message", (data: Buffer, isBinary: boolean) => {
    messages.push(data.toString(isBinary ? "latin1" : "utf8"));
    wake();
  });
  const closed = new Promise<number>((resolve) => {
    socket.on("close", (code) => {
      closeCode = code;
      resolve(code);
      wake();
    });
  });
  const opened = new Promise<void>((resolve, reject) => {
    socket.on("open", resolve);
    socket.on("error", reject);
  });
  await within(opened, TIMEOUT_MS, () => `the handshake of ${url}`);
  const waitForMessage = async (): Promise<string> => {
    for (;;) {
      const message = messages.shift();
      if (message !== undefined) return message;
      if (closeCode !== null) throw new Error(`WebSocket closed (${closeCode}) before a message`);
      await nextEvent();
    }
  };
  const next = (timeoutMs = TIMEOUT_MS): Promise<string> =>
    within(waitForMessage(), timeoutMs, () => "a WebSocket message");
  return {
    send: (message) => socket.send(message),
    next,
    echo(message) {
      socket.send(message);
      return next();
    },
    isOpen: () => closeCode === null && socket.readyState === socket.OPEN,
    closeCode: () => closeCode,
    close(code = 1000, timeoutMs = TIMEOUT_MS) {
      socket.close(code);
      return within(closed, timeoutMs, () => "the closing handshake");
    },
    [Symbol.dispose]: () => socket.terminate(),
  };
}
