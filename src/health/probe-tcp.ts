// The TCP check: an endpoint that accepts a connection passes. Nothing is sent.

import { passed } from "./answer.ts";
import { runProbe, type ProbeKind, type ProbeScript } from "./probe.ts";

const script: ProbeScript = {
  opened: () => passed,
  data: () => null,
  drained: () => {},
  ended: () => passed,
  isComplete: () => true,
};

export const probeTcp: ProbeKind = (env, target, _authority, settings, done) =>
  runProbe(env, target, settings.timeoutMs, script, done);
