// Fuzzing of the chunked decoder: any bytes, whole and in pieces, as data and raw. It must agree with the plain
// reference about what a message is, and what raw mode gives out must be a coding of the same data without extensions.

import type { FuzzTarget } from "../../../tools/fuzz.ts";
import { trailerBytesMax } from "../../base/limits.ts";
import { type Decoded, decodePieces, decodeReference } from "./chunked-kit.ts";
import { latin1 } from "./tables.ts";
import { cut } from "./test-kit.ts";

function must(condition: boolean, what: string): void {
  if (!condition) throw new Error(what);
}

/** What must not depend on where the input is cut or the sink stops. */
function outcome({ decoder, sink, used }: Decoded): string {
  if (decoder.failed) return "bad";
  const output = Buffer.from(sink.output).toString("latin1");
  must(sink.ends === (decoder.done ? 1 : 0), `the end was told ${sink.ends} times`);
  must(!decoder.done || sink.endPosition === used, "the end is somewhere else");
  return JSON.stringify([decoder.done, used, sink.trailers, output]);
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

export const target: FuzzTarget = {
  name: "h1-chunked",
  seeds: [
    "5\r\nhello\r\n0\r\n\r\nGET /",
    'A;a=b\r\n0123456789\r\n001;c="d"\r\nx\r\n00\r\nX-Sum: 1\r\nY: 2\r\n\r\n',
    "1\r\n\n\r\n2\r\n\r\n\r\n0\r\n\r\n",
    "fffffffffffff\r\nx",
    "0;x\r\n\r\n",
    `ff\r\n${"0\r\n\r\n".repeat(51)}\r\n0\r\n\r\n`,
  ].map(latin1),
  run(input) {
    const third = Math.ceil(input.length / 3);
    const single = input.length < 300 ? [...input.keys()] : [];
    for (const raw of [false, true]) {
      const whole = decodePieces([input], raw);
      const expected = outcome(whole);
      for (const at of [[third, 2 * third], [(input[0] ?? 0) % (input.length + 1)], single]) {
        let turn = 0;
        const stopping = decodePieces(cut(input, at), raw, () => turn++ % 3 !== 0);
        must(outcome(decodePieces(cut(input, at), raw)) === expected, `cut, raw ${raw}`);
        must(outcome(stopping) === expected, `cut and stopped, raw ${raw}`);
      }
      // else for the trailer parser
      const reference = decodeReference(input);
      if (reference !== null && reference.trailers.length <= trailerBytesMax) must(whole.decoder.done, "refused");
      if (!whole.decoder.done || /^\n|[^\r]\n|\r(?!\n)/.test(whole.sink.trailers)) continue;
      if (reference === null) throw new Error("accepted what the reference refuses");
      must(reference.used === whole.used && reference.trailers === whole.sink.trailers, "another end");
      if (!raw) {
        must(equal(reference.data, whole.sink.output), "other data");
        continue;
      }
      const section = Buffer.from(reference.trailers === "" ? "" : "\r\n");
      const again = decodeReference(Buffer.concat([whole.sink.output, section]));
      must(
        again !== null && !again.hasExtensions && equal(again.data, reference.data),
        "raw output is another message",
      );
    }
  },
};
