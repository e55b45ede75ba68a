// A request's head, kept for as long as its exchange: retries, error bodies and the access log look at it again. Only
// the bytes are kept and parsed anew when wanted, which is cheaper than a table of fields for every exchange.

import { copyOf } from "../base/bytes.ts";
import { keep } from "../base/lending.ts";
import { headersMax } from "../base/limits.ts";
import { Head } from "../wire/head.ts";
import { parseRequest } from "../wire/h1/parse.ts";

const empty = new Uint8Array(0);
const againHead = new Head(headersMax);
// A head that came in a bigger receive is copied out, so that a waiting request does not hold on to body bytes.
const keepWholeMax = 16 * 1024;

export class KeptHead {
  private bytes: Uint8Array = empty;
  private start = 0;
  private end = 0;

  keep(head: Head): void {
    const { bytes, start, end } = head;
    const size = end - start;
    if (bytes.length <= keepWholeMax || size * 2 > bytes.length) {
      keep(bytes);
      this.bytes = bytes;
      this.start = start;
      this.end = end;
    } else {
      this.bytes = copyOf(bytes, start, end);
      this.start = 0;
      this.end = size;
    }
  }

  /** In a shared Head that is valid until the next call. */
  again(): Head {
    const { bytes, start, end } = this;
    // It was parsed before. Should it ever be another now, its table would be left with another request's fields.
    if (parseRequest(bytes, start, end, againHead, end - start, headersMax) !== end)
      throw new Error("a kept head is lost");
    return againHead;
  }

  forget(): void {
    this.bytes = empty;
  }
}
