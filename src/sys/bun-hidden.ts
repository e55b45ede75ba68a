// The parts of Bun's socket surface that work but are missing from its types, behind narrow casts, so that the rest
// of the program type checks. Every function here has a contract test: Bun is pinned exactly, and an upgrade must
// pass them first.

/** A socket with its descriptor. */
export interface RawSocket<D> extends Omit<Bun.Socket<D>, "data" | "write"> {
  data: D;
  /** The descriptor, -1 once closed. */
  readonly fd: number;
  /** bytes accepted by the kernel, 0 = full, -1 = closed. */
  write(bytes: Uint8Array, byteOffset: number, byteLength: number): number;
  /** A string in Latin-1: every code unit below 256 is one byte. The result counts bytes. */
  write(text: string, encoding: "latin1"): number;
}

export interface RawListener {
  readonly fd: number;
  /** undefined for an adopted descriptor. */
  readonly port: number | undefined;
  /** Stops accepting and closes the descriptor; accepted sockets stay. */
  stop(closeActiveConnections?: boolean): void;
}

/** Bun's callbacks; one object is shared by all sockets of a role. */
export interface RawHandlers<D> {
  open(socket: RawSocket<D>): void;
  data(socket: RawSocket<D>, bytes: Buffer): void;
  drain(socket: RawSocket<D>): void;
  end(socket: RawSocket<D>): void;
  close(socket: RawSocket<D>, error?: Error): void;
  error(socket: RawSocket<D>, error: Error): void;
  connectError?(socket: RawSocket<D>, error: Error): void;
}

interface Hidden {
  listen(options: object): unknown;
  connect(options: object): Promise<unknown>;
}
const hidden = Bun as unknown as Hidden;

/**
 * Accepts on a bound, listening descriptor, which the listener now owns. Accepted sockets start with `data`. Throws.
 */
export function listenOnFd<D>(fd: number, data: D, socket: RawHandlers<D>): RawListener {
  return hidden.listen({ fd, data, allowHalfOpen: true, socket }) as RawListener;
}

/** A listener on a unix path ("\0name" for the abstract kind) that nobody is expected to connect to. Throws. */
export function listenOnUnix(path: string): RawListener {
  const socket = { open: (each: Bun.Socket) => each.terminate(), data() {} };
  return hidden.listen({ unix: path, socket }) as RawListener;
}

/**
 * Takes over a descriptor on which a connect was begun. `open` is called before this returns, whether or not the
 * connect is through; the first `drain` says that it is; a failed one comes as `close` with the real error code. A
 * descriptor Bun cannot take stays the caller's, and `connectError` is called before this returns.
 */
export function connectOnFd<D>(fd: number, data: D, socket: RawHandlers<D>): Promise<unknown> {
  return hidden.connect({ fd, data, allowHalfOpen: true, socket });
}

/** Bun's own connect: cannot be given up before it is through, and reports nearly every failure as ECONNREFUSED. */
export function connectByName<D>(
  address: { readonly hostname: string; readonly port: number } | { readonly unix: string },
  data: D,
  socket: RawHandlers<D>,
): Promise<unknown> {
  return hidden.connect({ ...address, data, allowHalfOpen: true, socket });
}
