// SRV records as endpoints (RFC 2782): the lowest priority number serves, all others are backups; weights are brought
// into the range of this program. Also addresses of one name as endpoints. Pure.

import { weightMax } from "../base/limits.ts";
import type { EndpointConfig } from "../model/config.ts";
import { defaultEndpoint } from "../model/defaults.ts";
import { formatAddress } from "../config/address.ts";
import type { ServiceRecord } from "../wire/dns/message.ts";

/** An endpoint at each address, in the order of their ids: servers give the same records in turning order. */
export function endpointsOfAddresses(addresses: readonly string[], port: number): readonly EndpointConfig[] {
  return inOrder([...new Set(addresses)].map((ip) => endpointAt(ip, port, defaultEndpoint.weight, false)));
}

/**
 * An endpoint at each address of each target. A target with several addresses shares its weight out among them; two
 * records of one address and port are one endpoint with both weights, and a backup only if both are.
 */
export function endpointsOfServices(
  records: readonly ServiceRecord[],
  addressesOf: (target: string) => readonly string[],
): readonly EndpointConfig[] {
  const first = Math.min(...records.map(({ priority }) => priority));
  const found = new Map<string, EndpointConfig>();
  for (const backup of [false, true]) {
    const group = records.filter(({ priority, port }) => priority > first === backup && port > 0);
    const weights = scaledWeights(group);
    for (const [i, { target, port }] of group.entries()) {
      const addresses = [...new Set(addressesOf(target))];
      for (const ip of addresses) {
        const weight = Math.max(1, Math.round(weights[i]! / addresses.length));
        const endpoint = endpointAt(ip, port, weight, backup);
        const same = found.get(endpoint.id);
        if (same === undefined) found.set(endpoint.id, endpoint);
        else if (same.backup === backup) {
          found.set(endpoint.id, { ...same, weight: Math.min(weightMax, same.weight + weight) });
        }
      }
    }
  }
  return inOrder([...found.values()]);
}

/**
 * Weights from 1 to weightMax in the proportions of the records'. RFC 2782: 0 is for a very small chance beside others
 * that have weights, so these are made as large as can be; where all are 0 there is no preference.
 */
function scaledWeights(group: readonly ServiceRecord[]): readonly number[] {
  const most = Math.max(0, ...group.map(({ weight }) => weight));
  if (most === 0) return group.map(() => 1);
  const hasZero = group.some(({ weight }) => weight === 0);
  if (!hasZero && most <= weightMax) return group.map(({ weight }) => weight);
  return group.map(({ weight }) => Math.max(1, Math.round((weight * weightMax) / most)));
}

function endpointAt(ip: string, port: number, weight: number, backup: boolean): EndpointConfig {
  return { ...defaultEndpoint, id: formatAddress(ip, port, null), host: ip, port, unixPath: null, weight, backup };
}

function inOrder(endpoints: readonly EndpointConfig[]): readonly EndpointConfig[] {
  return endpoints.toSorted((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
}
