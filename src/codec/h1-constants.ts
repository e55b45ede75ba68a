// Byte constants of HTTP/1.1 bodies that both codecs send.

import { latin1 } from "../wire/h1/tables.ts";

export const none = new Uint8Array(0);
export const crlf = latin1("\r\n");
/** The last chunk and the end of a chunked body without trailers. */
export const lastChunk = latin1("0\r\n\r\n");
/** The same behind the data of the chunk before it. */
export const crlfLastChunk = latin1("\r\n0\r\n\r\n");
