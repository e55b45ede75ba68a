// The origin's WebSocket side (RFC 6455): accepts every handshake and sends each message back. Frames are handled one
// by one, fragments included, so that what the client gets shows what arrived.

import { createHash } from "node:crypto";
import type { OriginExchange } from "./origin-behaviours.ts";
import { headerOf, type RecordedRequest } from "./request-reader.ts";

const ACCEPT_SUFFIX = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const Opcode = { Close: 8, Ping: 9, Pong: 10 } as const;

/** One frame as it came; the payload without its mask. */
interface Frame {
  /** FIN, RSV and opcode. */
  readonly first: number;
  readonly payload: Buffer;
  /** Bytes of the whole frame. */
  readonly length: number;
}

/** True for a WebSocket handshake. */
export function isWebSocketRequest(request: RecordedRequest): boolean {
  return headerOf(request, "upgrade")?.toLowerCase() === "websocket";
}

/** The frame at the beginning of the bytes, or null when it is not whole yet. */
function readFrame(bytes: Buffer): Frame | null {
  if (bytes.length < 2) return null;
  const short = bytes[1]! & 0x7f;
  let at = 2 + (short === 126 ? 2 : short === 127 ? 8 : 0);
  if (bytes.length < at + 4) return null;
  const length = short === 126 ? bytes.readUInt16BE(2) : short === 127 ? Number(bytes.readBigUInt64BE(2)) : short;
  const masked = (bytes[1]! & 0x80) !== 0;
  const mask = masked ? bytes.subarray(at, at + 4) : Buffer.alloc(4);
  if (masked) at += 4;
  if (bytes.length < at + length) return null;
  const payload = Buffer.from(bytes.subarray(at, at + length));
  for (let i = 0; i < payload.length; i++) payload[i]! ^= mask[i & 3]!;
  return { first: bytes[0]!, payload, length: at + length };
}

/** A frame without mask, as servers send them. */
function writeFrame(first: number, payload: Buffer): Buffer {
  const length = payload.length;
  if (length < 126) return Buffer.concat([Buffer.from([first, length]), payload]);
  const head = Buffer.alloc(length < 65_536 ? 4 : 10);
  head[0] = first;
  head[1] = length < 65_536 ? 126 : 127;
  if (length < 65_536) head.writeUInt16BE(length, 2);
  else head.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([head, payload]);
}

/** Answers the handshake and echoes from then on. */
export function acceptWebSocket(exchange: OriginExchange): void {
  const key = headerOf(exchange.request, "sec-websocket-key") ?? "";
  const accept = createHash("sha1")
    .update(key + ACCEPT_SUFFIX)
    .digest("base64");
  const fields = ["Upgrade: websocket", "Connection: Upgrade", `Sec-WebSocket-Accept: ${accept}`];
  exchange.send(`HTTP/1.1 101 Switching Protocols\r\nX-Origin: ${exchange.name}\r\n${fields.join("\r\n")}\r\n\r\n`);
  exchange.onFinish = () => exchange.close();
  let buffer = Buffer.alloc(0);
  exchange.upgrade((bytes) => {
    buffer = Buffer.concat([buffer, bytes]);
    for (let frame = readFrame(buffer); frame !== null; frame = readFrame(buffer)) {
      buffer = buffer.subarray(frame.length);
      const opcode = frame.first & 0x0f;
      if (opcode === Opcode.Pong) continue;
      const first = opcode === Opcode.Ping ? 0x80 | Opcode.Pong : frame.first;
      exchange.send(writeFrame(first, frame.payload));
      if (opcode === Opcode.Close) exchange.close();
    }
  });
}
