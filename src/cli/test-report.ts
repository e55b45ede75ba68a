// What became of the tests of a configuration, for people and for programs.

import type pc from "picocolors";
import type { RouteTestResult } from "../explain/route-tests.ts";
import { plural } from "./show-diagnostics.ts";

type Colors = ReturnType<typeof pc.createColors>;

export function hasFailed({ differences }: RouteTestResult): boolean {
  return differences.length > 0;
}

/** A line for each test, and for each thing that differs; a count. */
export function formatTests(results: readonly RouteTestResult[], colors: Colors): string {
  if (results.length === 0) return "there are no tests in it\n";
  const failed = results.filter(hasFailed).length;
  const count = `${plural(results.length, "test")}: ${results.length - failed} passed, ${failed} failed`;
  return `${results.map((result) => formatTest(result, colors)).join("")}${count}\n`;
}

function formatTest(result: RouteTestResult, colors: Colors): string {
  const { name, differences, explanation } = result;
  if (!hasFailed(result)) return `${colors.green("ok    ")} ${name}\n`;
  const lines = differences.map(
    ({ field, expected, found }) => `        ${field}: expected ${expected}, found ${found}\n`,
  );
  const taken = explanation === null ? "" : `        ${takenBy(explanation.route)}\n`;
  return `${colors.red("FAILED")} ${name}\n${lines.join("")}${colors.dim(taken)}`;
}

function takenBy(route: string | null): string {
  return route === null ? "no route takes it" : `route ${route} takes it`;
}

/** For --json. */
export function testsView(results: readonly RouteTestResult[]): unknown {
  return results.map(({ name, differences }) => ({ name, passed: differences.length === 0, differences }));
}
