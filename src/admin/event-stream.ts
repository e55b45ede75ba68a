// GET /api/v1/events: what happens, as it happens, as server-sent events (WHATWG HTML 9.2). A client that does not
// keep up is cut off, and asks for what it missed with Last-Event-ID when it comes back.

import { eventsKept } from "../base/limits.ts";
import type { Clock } from "../base/ports.ts";
import type { TimerWheel } from "../base/timer-wheel.ts";
import type { Journal, JournalEvent } from "../runtime/journal.ts";
import { refusal } from "./answers.ts";

/** A comment after this much silence keeps proxies and clients from giving the stream up. */
const silenceMs = 15_000;

function format(event: JournalEvent): string {
  return `id: ${event.id}\nevent: ${event.event.replaceAll(/\s+/g, "-")}\ndata: ${JSON.stringify(event)}\n\n`;
}

/** Answers with the events after this id that are still known, and then each further one. */
export function streamEvents(journal: Journal, timers: TimerWheel, clock: Clock, afterId: number): Response {
  const encoder = new TextEncoder();
  let stop = (): void => {};
  let full = false;
  const stream = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        const send = (text: string): void => {
          if ((controller.desiredSize ?? 0) <= 0) {
            stop();
            controller.close();
          } else controller.enqueue(encoder.encode(text));
        };
        const slot = timers.open({
          onDeadline() {
            timers.set(slot, clock.nowMs() + silenceMs);
            send(": still here\n\n");
          },
        });
        const unsubscribe = journal.subscribe((event) => send(format(event)));
        let over = false;
        stop = () => {
          if (over) return;
          over = true;
          timers.close(slot);
          unsubscribe?.();
        };
        if (unsubscribe === null) {
          full = true;
          stop();
          controller.close();
          return;
        }
        timers.set(slot, clock.nowMs() + silenceMs);
        controller.enqueue(encoder.encode("retry: 1000\n\n"));
        for (const event of journal.latest(eventsKept, afterId)) controller.enqueue(encoder.encode(format(event)));
      },
      cancel: () => stop(),
    },
    { highWaterMark: 4 * eventsKept },
  );
  if (full) return refusal(503, "too many event streams are open", "close one of them", { "retry-after": "10" });
  return new Response(stream, { headers: { "content-type": "text/event-stream", "cache-control": "no-store" } });
}
