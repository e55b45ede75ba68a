// A steady flow of requests from inside the test, for as long as the test wants: a few connections that are kept and
// used one request after the other. For scenarios that change something while requests flow, and want to know of every
// single one what became of it. For much load there is wrk (tool.ts).

import { connect, requestBytes } from "./client.ts";

/** A running flow. Stopped by `using`, without waiting. */
export interface Flow extends Disposable {
  /** How many requests were answered with 200. */
  readonly answered: number;
  /** Everything else, one sentence each; the first hundred. */
  readonly failures: readonly string[];
  /** Ends it after the requests under way. */
  stop(): Promise<void>;
}

const CONNECTIONS = 8;
const FAILURES_KEPT = 100;

/** Starts a flow of GETs to an address. */
export function startFlow(address: string, path = "/ok"): Flow {
  const failures: string[] = [];
  let answered = 0;
  let going = true;
  const bytes = requestBytes(address, { path });
  const one = async (): Promise<void> => {
    while (going) {
      try {
        using client = await connect(address);
        while (going && client.ending() === null) {
          await client.send(bytes);
          const { status } = await client.read();
          if (status === 200) answered++;
          else if (failures.length < FAILURES_KEPT) failures.push(`status ${status}`);
        }
      } catch (error) {
        if (failures.length < FAILURES_KEPT) failures.push(error instanceof Error ? error.message : String(error));
      }
    }
  };
  const all = Promise.all(Array.from({ length: CONNECTIONS }, one));
  return {
    get answered() {
      return answered;
    },
    failures,
    async stop() {
      going = false;
      await all;
    },
    [Symbol.dispose]() {
      going = false;
    },
  };
}
