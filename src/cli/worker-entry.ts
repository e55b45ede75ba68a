// What a worker process is made of.

import { compile } from "../compile/compile.ts";
import { DataPlane } from "../http/data-plane.ts";
import { runWorker } from "../runtime/worker-process.ts";

export function startWorker(): void {
  runWorker({ compile, create: (context) => new DataPlane(context) });
}
