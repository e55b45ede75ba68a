// What is wrong with the files of endpoints that a configuration names. Only warnings: a balancer starts without them
// and goes on with what it had.

import { readEndpointList } from "../config/endpoint-list.ts";
import type { ConfigFiles } from "../config/load.ts";
import type { Config } from "../model/config.ts";
import type { Diagnostic } from "../model/diagnostic.ts";
import { endpointFileBytesMax } from "../base/limits.ts";

/** The diagnostics of one file, with its text for excerpts ("" if it could not be read). */
export interface CheckedSource {
  readonly text: string;
  readonly diagnostics: readonly Diagnostic[];
}

/** Looks at every file that the pools' discovery names, once. */
export function checkSources(config: Config, files: Pick<ConfigFiles, "readBytes">): readonly CheckedSource[] {
  const sources = config.pools.flatMap(({ discovery }) => discovery);
  const paths = new Set(sources.flatMap((source) => (source.from === "file" ? [source.path] : [])));
  return [...paths].map((path) => checkSource(path, files));
}

function checkSource(path: string, files: Pick<ConfigFiles, "readBytes">): CheckedSource {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(files.readBytes(path, endpointFileBytesMax));
  } catch (thrown) {
    const message = thrown instanceof TypeError ? "the file is not text in UTF-8" : messageOf(thrown);
    const at = { file: path, line: 0, column: 0 };
    const hint = "until it is there and in order, its endpoints are missing";
    return { text: "", diagnostics: [{ severity: "warning", at, path: "", message, hint }] };
  }
  const { diagnostics } = readEndpointList(text, path);
  return { text, diagnostics: diagnostics.map((diagnostic) => ({ ...diagnostic, severity: "warning" })) };
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
