// Reads a configuration for the tests of its routes: YAML, or a module.

import { loadFile } from "../config/load.ts";
import type { Config } from "../model/config.ts";
import { formatDiagnostic } from "../model/diagnostic.ts";
import { configFiles } from "../sys/config-files.ts";

/**
 * The configuration in the file, relative to the working directory, for expectRoute() and routeTests(). Rejects with an
 * Error that lists its mistakes.
 */
export async function readConfig(path: string): Promise<Config> {
  const { config, diagnostics } = await loadFile(path, configFiles);
  if (config === null) throw new Error(diagnostics.map(formatDiagnostic).join("\n"));
  return config;
}
