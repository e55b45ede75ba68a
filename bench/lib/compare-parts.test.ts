// The small parts of the benchmark that need no process: options, CPU plans, the document's markers, generated files.

import { describe, expect, test } from "bun:test";
import { wrapCommand } from "./children.ts";
import { CONTENDERS } from "./contenders.ts";
import { freePort, parseCpuList, planCpus } from "./cpus.ts";
import { replaceResults } from "./docs.ts";
import { parseCpuModel } from "./machine.ts";
import { parseOptions } from "./options.ts";
import { SCENARIOS, selectScenarios } from "./scenarios.ts";

describe("options", () => {
  test("defaults", () => {
    const options = parseOptions([]);
    expect(options).toMatchObject({ rounds: 3, seconds: 5, warmupSeconds: 2, json: null, force: false, quick: false });
    expect(options.scenarios).toEqual(SCENARIOS);
    expect(options.contenders.map((contender) => contender.name)).toEqual(["nginx", "haproxy", "sluice"]);
  });

  test("--quick shortens, explicit values win", () => {
    expect(parseOptions(["--quick"])).toMatchObject({ rounds: 1, seconds: 2, warmupSeconds: 1 });
    expect(parseOptions(["--quick", "--rounds", "2", "--seconds=1"])).toMatchObject({ rounds: 2, seconds: 1 });
  });

  test("--only takes names and groups, --contenders any known name", () => {
    const options = parseOptions(["--only", "new,two-workers", "--contenders", "haproxy-copy,nginx"]);
    expect(options.scenarios.map((scenario) => scenario.name)).toEqual(["new", "one-worker", "two-workers"]);
    expect(options.contenders.map((contender) => contender.name)).toEqual(["nginx", "haproxy-copy"]);
  });

  test.each([
    [["--only", "smal"], "no such scenario"],
    [["--contenders", "apache"], "no such contender"],
    [["--rounds", "0"], "--rounds 0"],
    [["--seconds", "1.5"], "--seconds 1.5"],
    [["--quick", "--write-docs"], "not fit"],
    [["--nonsense"], "--nonsense"],
    [["stray"], "stray"],
  ])("%p is refused", (args, message) => {
    expect(() => parseOptions(args)).toThrow(message);
  });
});

describe("CPUs", () => {
  test("kernel lists", () => {
    expect(parseCpuList("0-2,5\n")).toEqual([0, 1, 2, 5]);
    expect(() => parseCpuList("0-")).toThrow("not a CPU list");
  });

  test("proxy and load are apart where the CPUs allow it", () => {
    expect(planCpus([0, 1], 1)).toEqual({ proxy: "0", load: "1", proxyCpus: [0] });
    expect(planCpus([2, 3, 4, 5, 6, 7, 8, 9], 2)).toEqual({ proxy: "2,3", load: "4,5,6", proxyCpus: [2, 3] });
  });

  test("and share all of them where not", () => {
    expect(planCpus([0, 1], 2)).toEqual({ proxy: "0,1", load: "0,1", proxyCpus: [0, 1] });
    expect(planCpus([0], 1)).toEqual({ proxy: "0", load: "0", proxyCpus: [0] });
  });

  test("free ports differ and can be bound", () => {
    const ports = [freePort(), freePort(), freePort()];
    expect(new Set(ports).size).toBe(3);
    for (const port of ports) Bun.listen({ hostname: "127.0.0.1", port, socket: { data() {} } }).stop(true);
  });
});

describe("the document", () => {
  const document = "before\n<!-- results:begin -->\nold\n<!-- results:end -->\nafter\n";

  test("only what is between the markers changes, and doing it twice changes nothing", () => {
    const once = replaceResults(document, "| new |\n");
    expect(once).toBe("before\n<!-- results:begin -->\n\n| new |\n\n<!-- results:end -->\nafter\n");
    expect(replaceResults(once, "| new |")).toBe(once);
  });

  test.each(["", "<!-- results:begin -->", "<!-- results:end --><!-- results:begin -->", document + document])(
    "%p is refused",
    (text) => {
      expect(() => replaceResults(text, "x")).toThrow("exactly one");
    },
  );
});

test("the CPU's name, where there is one", () => {
  expect(parseCpuModel("processor\t: 0\nmodel name\t: AMD EPYC 7763\nmodel name\t: other\n")).toBe("AMD EPYC 7763");
  expect(parseCpuModel("processor: 0\n")).toBe("unknown");
});

test("children are pinned and die with the benchmark", () => {
  const plan = { name: "x", command: ["nginx", "-c", "a b"], cpus: "0", logFile: null };
  expect(wrapCommand(plan).slice(0, 6)).toEqual(["setpriv", "--pdeathsig", "TERM", "taskset", "-c", "0"]);
  expect(wrapCommand(plan).slice(-3)).toEqual(["nginx", "-c", "a b"]);
});

describe("every contender's files", () => {
  const endpoints = ["127.0.0.1:7001", "127.0.0.1:7002"];
  const setup = { dir: "/tmp/dir", port: 7100, adminPort: 7101, endpoints, workers: 2 };

  test.each(CONTENDERS.map((contender) => [contender.name, contender] as const))("%s", (_, contender) => {
    const text = Object.values(contender.plan(setup).files).join("\n");
    expect(text).toContain("127.0.0.1:7100");
    for (const endpoint of endpoints) expect(text).toContain(endpoint);
    expect(text).not.toMatch(/undefined|NaN|\[object/);
  });
});

test("scenario names are unique and each selects itself", () => {
  expect(new Set(SCENARIOS.map((scenario) => scenario.name)).size).toBe(SCENARIOS.length);
  for (const scenario of SCENARIOS) expect(selectScenarios([scenario.name])).toContain(scenario);
});
