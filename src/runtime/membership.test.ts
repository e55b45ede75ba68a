// Who belongs to a pool: precedence, bounds, and what a change is said to be.

import { describe, expect, test } from "bun:test";
import { poolEndpointsMax } from "../base/limits.ts";
import { loadText } from "../config/load.ts";
import type { Config, EndpointConfig } from "../model/config.ts";
import type { Found } from "./discovery.ts";
import { Edits } from "./edits.ts";
import { endpointKey } from "./endpoints.ts";
import { changesOf, membersOf } from "./membership.ts";
import { endpointsOfAddresses } from "./service-records.ts";

function load(endpoints: string, discovery = "[{ from: dns, name: x.test, port: 80 }]"): Config {
  const app = `{ endpoints: ${endpoints}, discovery: ${discovery} }`;
  const pools = `pools: { app: ${app}, other: { endpoints: [10.0.0.9:80] } }`;
  const { config, diagnostics } = loadText(pools, "t");
  if (config === null) throw new Error(JSON.stringify(diagnostics));
  return config;
}

const at = (...addresses: readonly string[]): readonly EndpointConfig[] => endpointsOfAddresses(addresses, 80);
const found =
  (...sources: readonly Found[]) =>
  ({ name }: { readonly name: string }): readonly Found[] =>
    name === "app" ? sources : [];

/** "id origin" of the pool's members. */
function members(written: Config, edits: Edits, ...sources: readonly Found[]): string[] {
  const { config, origins } = membersOf(written, found(...sources), edits);
  return config.pools[0]!.endpoints.map(({ id }) => `${id} ${origins.get(endpointKey("app", id))}`);
}

describe("members", () => {
  test("come in the order written, added, by file, by DNS; the first that names an id has it", () => {
    const written = load("[10.0.0.1:80]");
    const edits = new Edits();
    edits.add(written.pools[0]!, { ...at("10.0.0.2")[0]!, weight: 7 });
    const all = members(
      written,
      edits,
      { from: "dns", endpoints: at("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4") },
      { from: "file", endpoints: at("10.0.0.3", "10.0.0.2") },
    );
    expect(all).toEqual(["10.0.0.1:80 config", "10.0.0.2:80 api", "10.0.0.3:80 file", "10.0.0.4:80 dns"]);
  });

  test("a pool that has only what is written is left as it is", () => {
    const written = load("[10.0.0.1:80]");
    const { config } = membersOf(written, found(), new Edits());
    expect(config.pools[1]).toBe(written.pools[1]!);
    expect(config.pools[0]!.endpoints).toEqual(written.pools[0]!.endpoints);
  });

  test("removed ids are left out, whoever names them, unless they were added again", () => {
    const written = load("[10.0.0.1:80, 10.0.0.2:80]");
    const [pool] = written.pools;
    const edits = new Edits();
    edits.remove(pool!, "10.0.0.1:80");
    edits.remove(pool!, "10.0.0.3:80");
    const dns: Found = { from: "dns", endpoints: at("10.0.0.1", "10.0.0.3", "10.0.0.4") };
    expect(members(written, edits, dns)).toEqual(["10.0.0.2:80 config", "10.0.0.4:80 dns"]);
    edits.add(pool!, at("10.0.0.3")[0]!);
    expect(members(written, edits, dns)).toEqual(["10.0.0.2:80 config", "10.0.0.3:80 api", "10.0.0.4:80 dns"]);
    edits.forgetRemoved(pool!, new Set(["10.0.0.3:80"]));
    expect(members(written, edits, dns)[0]).toBe("10.0.0.1:80 config");
  });

  test("beyond the bound those of the last sources are left out, never those that are written", () => {
    const many = at(...Array.from({ length: poolEndpointsMax }, (_, i) => `10.1.${i >> 8}.${i & 255}`));
    const { config, leftOut } = membersOf(
      load("[10.0.0.1:80, 10.0.0.2:80]"),
      found({ from: "dns", endpoints: many }),
      new Edits(),
    );
    expect(config.pools[0]!.endpoints.length).toBe(poolEndpointsMax);
    expect(config.pools[0]!.endpoints[1]!.id).toBe("10.0.0.2:80");
    expect([...leftOut]).toEqual([["app", 2]]);
  });
});

describe("edits", () => {
  test("hold for as long as the pool's list and sources are written as they were", () => {
    const edits = new Edits();
    edits.add(load("[10.0.0.1:80]").pools[0]!, at("10.0.0.2")[0]!);
    const slower = { ...load("[10.0.0.1:80]").pools[0]!, slowStartMs: 5000 };
    expect(edits.of(slower)?.added.size).toBe(1);
    expect(edits.of(load("[10.0.0.1:80, 10.0.0.5:80]").pools[0]!)).toBeNull();
    expect(edits.of(load("[10.0.0.1:80]", "[{ from: file, path: x }]").pools[0]!)).toBeNull();
    expect(edits.reconcile(load("[10.0.0.1:80]"))).toEqual([]);
    expect(edits.reconcile(load("[]"))).toEqual([
      "pool app: 1 endpoints added at run time dropped: the file's endpoints have changed",
    ]);
    expect(edits.of(load("[10.0.0.1:80]").pools[0]!)).toBeNull();
  });

  test("can be taken back", () => {
    const edits = new Edits();
    const [pool] = load("[10.0.0.1:80]").pools;
    const [two] = at("10.0.0.2");
    edits.add(pool!, two!)();
    expect(edits.of(pool!)).toBeNull();
    edits.remove(pool!, "10.0.0.1:80")();
    expect(edits.of(pool!)).toBeNull();
    edits.add(pool!, two!);
    edits.remove(pool!, two!.id)();
    expect([...edits.of(pool!)!.added.keys()]).toEqual([two!.id]);
    edits.remove(pool!, "10.0.0.1:80");
    edits.restore(pool!, "10.0.0.1:80")();
    expect([...edits.of(pool!)!.removed]).toEqual(["10.0.0.1:80"]);
  });
});

test("changes are counted by pool, with a few examples", () => {
  const before = load("[10.0.0.1:80, 10.0.0.2:80, 10.0.0.3:80]");
  const after = load("[10.0.0.4:80, { address: 10.0.0.2:80, weight: 2 }, 10.0.0.3:80]");
  const examples = "+10.0.0.4:80 -10.0.0.1:80 ~10.0.0.2:80";
  expect(changesOf(before, after)).toEqual([{ pool: "app", added: 1, removed: 1, changed: 1, examples }]);
  expect(changesOf(before, load("[10.0.0.1:80, 10.0.0.2:80, 10.0.0.3:80]"))).toEqual([]);
  const [change] = changesOf(
    load("[]"),
    load("[10.0.0.1:80, 10.0.0.2:80, 10.0.0.3:80, 10.0.0.4:80, 10.0.0.5:80, 10.0.0.6:80]"),
  );
  expect(change!.examples).toEndWith("+10.0.0.5:80 …");
});
