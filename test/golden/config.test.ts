// Golden files of the configuration: a YAML text, a line of dashes, then what it comes to: diagnostics, and the
// resolved Config as JSON unless there was an error. `UPDATE_GOLDEN=1` rewrites them; read the difference before
// committing it.

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { expect, test } from "bun:test";
import { loadText } from "../../src/config/load.ts";
import { formatDiagnostic } from "../../src/model/diagnostic.ts";

const folder = `${import.meta.dir}/config/`;
const DASHES = `\n${"-".repeat(60)}\n`;
const update = process.env["UPDATE_GOLDEN"] === "1";

function outcome(input: string): string {
  const { config, diagnostics } = loadText(input, "sluice.yaml");
  const lines = diagnostics.map((d) => formatDiagnostic(d));
  if (config !== null) lines.push(JSON.stringify(config, null, 2));
  return `${lines.join("\n")}\n`;
}

const files = readdirSync(folder).filter((file) => file.endsWith(".golden"));

test("there are golden files", () => expect(files.length).toBeGreaterThan(10));

for (const file of files) {
  test(file, () => {
    const golden = readFileSync(folder + file, "utf8");
    const at = golden.indexOf(DASHES);
    const input = at < 0 ? golden : golden.slice(0, at);
    const actual = outcome(input);
    if (update) writeFileSync(folder + file, input + DASHES + actual);
    else expect(actual).toBe(golden.slice(at + DASHES.length));
  });
}
