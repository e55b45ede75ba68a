// Cost of reading frames: a request's HEADERS with the small frames that come along, and DATA.

import { FrameFlag, FrameType } from "./frame.ts";
import { FrameEvent, FrameReader } from "./frame-reader.ts";
import { frame, u32 } from "./test-kit.ts";

const block = Array<number>(80).fill(0x82);
const traffic = Uint8Array.from([
  ...frame(FrameType.Headers, FrameFlag.EndHeaders | FrameFlag.EndStream, 1, block),
  ...frame(FrameType.WindowUpdate, 0, 0, u32(1000)),
  ...frame(FrameType.Data, 0, 3, Array<number>(1000).fill(65)),
  ...frame(FrameType.Data, FrameFlag.EndStream, 3),
]);
const settings = Uint8Array.from(frame(FrameType.Settings, 0, 0));

/** Nanoseconds per frame. */
export function bench(iterations: number): number {
  const reader = new FrameReader(65_536);
  reader.take(settings, 0, settings.length);
  let frames = 0;
  const started = Bun.nanoseconds();
  for (let k = 0; k < iterations; k++) {
    for (let at = 0; at < traffic.length; frames++) {
      at = reader.take(traffic, at, traffic.length);
      if (reader.event === FrameEvent.ConnectionError) throw new Error(reader.reason);
    }
  }
  return (Bun.nanoseconds() - started) / frames;
}

if (import.meta.main) {
  bench(20_000);
  console.log(`${bench(300_000).toFixed(0)} ns a frame`);
}
