// Tells the endpoint which tenant an API key belongs to, as another service says. Its answers are remembered for a
// minute; when it fails, so do the requests that need it, and no others.

import { defineConfig, type HookRequest, type HookResponse } from "sluice";

const directory = process.env["DIRECTORY"] ?? "http://127.0.0.1:4000";
const keptMs = 60_000;
const keptMax = 10_000;

/** By key, the oldest first; tenant null = there is no such key. */
const known = new Map<string, { readonly tenant: string | null; readonly untilMs: number }>();

async function lookUp(key: string): Promise<string | null> {
  const answer = await fetch(`${directory}/keys/${encodeURIComponent(key)}`, { signal: AbortSignal.timeout(900) });
  if (answer.status === 404) return null;
  if (!answer.ok) throw new Error(`the directory says ${answer.status}`);
  const { tenant } = (await answer.json()) as { tenant: string };
  return tenant;
}

function setTenant(request: HookRequest, tenant: string | null): HookResponse | undefined {
  if (tenant === null) return { status: 403, body: "this key is not valid\n" };
  request.setHeader("x-tenant", tenant);
  request.log("tenant", tenant);
  return undefined;
}

/** Not async itself: a key that is known costs no promise. */
function findTenant(request: HookRequest): HookResponse | undefined | Promise<HookResponse | undefined> {
  const key = request.header("x-api-key") ?? "";
  if (key === "") return { status: 401, body: "the header x-api-key is missing\n" };
  const entry = known.get(key);
  if (entry !== undefined && entry.untilMs > Date.now()) return setTenant(request, entry.tenant);
  return lookUp(key).then((tenant) => {
    known.delete(key);
    known.set(key, { tenant, untilMs: Date.now() + keptMs });
    if (known.size > keptMax) known.delete(known.keys().next().value!);
    return setTenant(request, tenant);
  });
}

export default defineConfig({
  listeners: {
    api: {
      bind: "127.0.0.1:8080",
      routes: [{ forward: "api", hooks: { request: findTenant, timeout: "1s" } }],
    },
  },
  pools: { api: { endpoints: ["127.0.0.1:3000", "127.0.0.1:3001"] } },
});
