// What both HTTP/1.1 codecs do alike about chunked bodies: sending them in our own chunks, and trailers in both
// directions.

import { latin1 } from "../wire/h1/tables.ts";
import { parseTrailers } from "../wire/h1/parse.ts";
import { writeChunkSize, writeTrailers } from "../wire/h1/write.ts";
import { Head } from "../wire/head.ts";
import { type Outlet, proceed, send, sendBody } from "./outlet.ts";
import { Flow } from "./stream.ts";

export const none = new Uint8Array(0);
const crlf = latin1("\r\n");
/** The last chunk and the end of a body without trailers. */
const lastChunk = latin1("0\r\n\r\n");
/** The same behind the data of the chunk before it. */
const crlfLastChunk = latin1("\r\n0\r\n\r\n");

const trailerFieldsMax = 100;
const trailerHead = new Head(trailerFieldsMax);

/** Sends bytes[start, end) as one chunk, none if there are none; last = the body ends with them. */
export function sendChunk(outlet: Outlet, bytes: Uint8Array, start: number, end: number, last: boolean): Flow {
  if (end === start) return last ? sendBody(outlet, lastChunk, 0, lastChunk.length, none) : Flow.Go;
  writeChunkSize(proceed(outlet), end - start);
  return sendBody(outlet, bytes, start, end, last ? crlfLastChunk : crlf);
}

/** Sends trailers and the end of the body; raw = the last chunk's line has been sent already. */
export function sendTrailerSection(outlet: Outlet, head: Head, raw: boolean): Flow {
  const out = proceed(outlet);
  if (!raw) out.putText("0\r\n");
  writeTrailers(out, head);
  return send(outlet, false);
}

/** The trailer section as a shared Head that is valid until the next call; null if it is malformed. */
export function readTrailerSection(section: Uint8Array, length: number): Head | null {
  return parseTrailers(section, 0, length, trailerHead, trailerFieldsMax) > 0 ? trailerHead : null;
}
