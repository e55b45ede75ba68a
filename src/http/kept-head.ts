// A request's head, kept for as long as its exchange: retries, error bodies and the access log look at it again. Only
// the bytes are kept and parsed anew when wanted, which is cheaper than a table of fields for every exchange.

import { copyBytes } from "../base/bytes.ts";
import { headersMax } from "../base/limits.ts";
import { Head } from "../wire/head.ts";
import { parseRequest } from "../wire/h1/parse.ts";

const againHead = new Head(headersMax);
const bytesMin = 512;
/** A buffer that an unusual head made this long is not kept for the next one. */
const bytesMax = 4096;

export class KeptHead {
  private bytes = new Uint8Array(bytesMin);
  private end = 0;

  keep(head: Head): void {
    const size = head.end - head.start;
    if (size > this.bytes.length) this.bytes = new Uint8Array(size);
    copyBytes(this.bytes, 0, head.bytes, head.start, head.end);
    this.end = size;
  }

  /** In a shared Head that is valid until the next call. */
  again(): Head {
    this.into(againHead);
    return againHead;
  }

  /** In a Head of the caller's, with room for headersMax fields; valid until the end of the exchange. */
  into(head: Head): void {
    const { bytes, end } = this;
    // It was parsed before. Should it ever be another now, its table would be left with another request's fields.
    if (parseRequest(bytes, 0, end, head, end, headersMax) !== end) throw new Error("a kept head is lost");
  }

  forget(): void {
    this.end = 0;
    if (this.bytes.length > bytesMax) this.bytes = new Uint8Array(bytesMin);
  }
}
