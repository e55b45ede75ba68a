// The version constant against the manifest.

import { expect, test } from "bun:test";
import { VERSION } from "./version.ts";

test("is the version of package.json", async () => {
  const manifest: unknown = await Bun.file(new URL("../../package.json", import.meta.url)).json();
  expect(manifest).toMatchObject({ version: VERSION });
});
