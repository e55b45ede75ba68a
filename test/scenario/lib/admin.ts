// Calls of the admin API that many scenarios make.

import type { EndpointView, StatusView } from "../../../src/runtime/views.ts";
import type { AdminAnswer, Sluice } from "./sluice.ts";
import { waitFor } from "./wait.ts";

function pathOf(pool: string, id: string): string {
  return `/api/v1/pools/${encodeURIComponent(pool)}/endpoints/${encodeURIComponent(id)}`;
}

/** What the API says of one endpoint. */
export async function endpoint(sluice: Sluice, pool: string, id: string): Promise<EndpointView> {
  return (await sluice.admin(pathOf(pool, id))).json<EndpointView>();
}

/** PATCH of an endpoint; any status is an answer. */
export function patch(sluice: Sluice, pool: string, id: string, body: unknown): Promise<AdminAnswer> {
  return sluice.admin(pathOf(pool, id), { method: "PATCH", body: JSON.stringify(body) });
}

/** Waits until an endpoint is as wanted. */
export function becomes(
  sluice: Sluice,
  pool: string,
  id: string,
  wanted: Partial<EndpointView>,
  timeoutMs = 5000,
): Promise<EndpointView> {
  const fits = (view: EndpointView): boolean =>
    (Object.keys(wanted) as (keyof EndpointView)[]).every((key) => view[key] === wanted[key]);
  const look = async (): Promise<EndpointView | null> => {
    const view = await endpoint(sluice, pool, id);
    if (fits(view)) return view;
    throw new Error(JSON.stringify(view));
  };
  return waitFor(look, { what: `${pool}/${id} to be ${JSON.stringify(wanted)}`, timeoutMs });
}

/** The latest events that the status shows, by name. */
export async function events(sluice: Sluice, name: string): Promise<StatusView["events"]> {
  return (await sluice.status<StatusView>()).events.filter(({ event }) => event === name);
}
