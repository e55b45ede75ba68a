// Fuzzing of the frame reader: any bytes behind a SETTINGS frame, whole and in pieces. The frames must be the same
// however they come, lie within the input, and take up all of it but an unfinished end.

import type { FuzzTarget } from "../../../tools/fuzz.ts";
import { cut } from "../h1/test-kit.ts";
import { FrameFlag, FrameType } from "./frame.ts";
import { frame, readFrames, u32 } from "./test-kit.ts";

function must(condition: boolean, what: string): void {
  if (!condition) throw new Error(what);
}

const settings = frame(FrameType.Settings, 0, 0, [0, 4, ...u32(1000)]);
const headers = frame(FrameType.Headers, FrameFlag.EndHeaders | FrameFlag.Priority, 1, [...u32(0), 1, 0x82, 0x86]);
const ping = [1, 2, 3, 4, 5, 6, 7, 8];
const blockBytesMax = 64;

export const target: FuzzTarget = {
  name: "h2-frames",
  seeds: [
    [...headers, ...frame(FrameType.Data, FrameFlag.EndStream | FrameFlag.Padded, 1, [3, 65, 66, 0, 0, 0])],
    [
      ...frame(FrameType.Headers, FrameFlag.EndStream | FrameFlag.Padded, 3, [1, 0x82, 0]),
      ...frame(FrameType.Continuation, 0, 3, [0x86]),
      ...frame(FrameType.Continuation, FrameFlag.EndHeaders, 3, [0x84]),
    ],
    [...frame(FrameType.Ping, 0, 0, ping), ...frame(FrameType.Settings, 1, 0), ...frame(77, 1, 2, ping)],
    [...frame(FrameType.RstStream, 0, 1, u32(8)), ...frame(FrameType.WindowUpdate, 0, 0, u32(1))],
    [...frame(FrameType.GoAway, 0, 0, [...u32(1), ...u32(2), 65]), ...frame(FrameType.Priority, 0, 9, [...u32(9), 1])],
  ].map((bytes) => Uint8Array.from([...settings, ...bytes])),
  run(input) {
    const whole = readFrames([input], blockBytesMax);
    const expected = JSON.stringify(whole);
    let payloads = 0;
    for (const { payload } of whole) payloads += payload.length;
    must(payloads <= input.length && whole.length <= input.length, "more than there is");
    const third = Math.ceil(input.length / 3);
    const single = input.length < 300 ? [...input.keys()] : [];
    for (const at of [[third, 2 * third], [(input[0] ?? 0) % (input.length + 1)], [9], single]) {
      const inside = at.filter((mark) => mark <= input.length);
      const pieces = readFrames(cut(input, inside), blockBytesMax);
      const same = JSON.stringify(pieces) === expected;
      must(
        same,
        `cut at ${inside.length < 5 ? inside.join() : "every byte"}: ${JSON.stringify(pieces)} not ${expected}`,
      );
    }
  },
};
