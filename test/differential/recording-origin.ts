// An origin that writes down every byte it receives, by connection, and answers each request that it can read strictly.
// What it cannot read it answers with 400, and closes.

import { Outlet } from "../scenario/lib/outlet.ts";
import { readStrictly } from "./strict-parser.ts";

export interface RecordingOrigin extends Disposable {
  readonly port: number;
  /** Received bytes as Latin-1, one text for each connection that sent any, in the order they were opened. */
  recorded(): string[];
  /** Connections that are open. */
  open(): number;
  /** Forgets what was recorded. */
  clear(): void;
}

interface OriginState {
  received: string;
  answered: number;
  outlet: Outlet | null;
}

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const BAD = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

function answer(socket: Bun.Socket<OriginState>): void {
  const state = socket.data;
  const reading = readStrictly(state.received);
  for (; state.answered < reading.requests.length; state.answered++) state.outlet!.send(OK);
  if (reading.rest !== "ambiguous") return;
  state.outlet!.send(BAD);
  socket.end();
}

/** Starts it on any free port of loopback. */
export function startRecordingOrigin(): RecordingOrigin {
  let states: OriginState[] = [];
  let open = 0;
  const listener = Bun.listen<OriginState>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open(socket) {
        open++;
        socket.data = { received: "", answered: 0, outlet: new Outlet(socket) };
        states.push(socket.data);
      },
      data(socket, bytes) {
        socket.data.received += bytes.toString("latin1");
        answer(socket);
      },
      drain: (socket) => socket.data.outlet?.pump(),
      close() {
        open--;
      },
      error() {},
    },
  });
  return {
    port: listener.port,
    recorded: () => states.map((state) => state.received).filter((text) => text !== ""),
    open: () => open,
    clear: () => void (states = []),
    [Symbol.dispose]: () => listener.stop(true),
  };
}
