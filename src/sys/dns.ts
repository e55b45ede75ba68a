// What name resolution needs of this machine: messages to name servers and back, over UDP and TCP, and the system's own
// resolver. It knows neither what the messages say nor which server to ask; that is runtime/dns-client.ts.

import type { LookupAddress } from "node:dns";
import { lookup } from "node:dns/promises";

/** A name server; ip may carry a zone ("fe80::1%eth0"). */
export interface DnsServerAddress {
  readonly ip: string;
  readonly port: number;
}

function failure(code: string): Error {
  return Object.assign(new Error(code), { code });
}

function codeOf(error: unknown): string {
  return (error as { code?: string }).code ?? "unknown";
}

/** An id for a query, which somebody who does not see the query cannot guess. */
export function newQueryId(): number {
  return crypto.getRandomValues(new Uint16Array(1))[0]!;
}

/**
 * Sends a query from a socket of its own, with a port of the kernel's choice, that hears nobody but the server.
 * Resolves with what accept makes of the first datagram that it does not refuse with null: others are not meant for us.
 * Rejects with an Error that has a code: "ETIMEOUT", "ECONNREFUSED" and so on.
 */
export async function exchangeUdp<T>(
  server: DnsServerAddress,
  query: Uint8Array,
  accept: (bytes: Uint8Array) => T | null,
  timeoutMs: number,
): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const fail = (error: unknown): void => reject(failure(codeOf(error)));
  const timer = setTimeout(() => reject(failure("ETIMEOUT")), timeoutMs);
  const socket = await Bun.udpSocket({
    hostname: server.ip.includes(":") ? "::" : "0.0.0.0",
    connect: { hostname: server.ip, port: server.port },
    socket: {
      data(_, bytes) {
        const accepted = accept(bytes);
        if (accepted !== null) resolve(accepted);
      },
      error: fail, // Bun gives the error alone, whatever its types say
    },
  }).catch((error: unknown) => {
    fail(error);
    return null;
  });
  try {
    socket?.send(query);
    return await promise;
  } catch (error) {
    throw failure(codeOf(error));
  } finally {
    clearTimeout(timer);
    socket?.close();
  }
}

/** The same over TCP (RFC 1035 4.2.2): resolves with the one message that comes back. */
export async function exchangeTcp(server: DnsServerAddress, query: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  const fail = (code: string): void => reject(failure(code));
  const timer = setTimeout(() => fail("ETIMEOUT"), timeoutMs);
  let received = new Uint8Array(0);
  const socket = Bun.connect({
    hostname: server.ip,
    port: server.port,
    socket: {
      open(opened) {
        opened.write(Buffer.concat([Uint8Array.of(query.length >> 8, query.length & 255), query]));
      },
      data(_, bytes) {
        received = Buffer.concat([received, bytes]); // bounded: the length in front has two bytes
        const length = received.length < 2 ? Infinity : received[0]! * 256 + received[1]!;
        if (received.length >= 2 + length) resolve(received.subarray(2, 2 + length));
      },
      close: () => fail("ECONNRESET"),
      error: (_, error) => fail(codeOf(error)),
      connectError: (_, error) => fail(codeOf(error)),
    },
  }).catch((error: unknown) => {
    fail(codeOf(error));
    return null;
  });
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    void socket.then((opened) => opened?.terminate());
  }
}

/** Addresses by the system's own resolver, which knows other sources than DNS, IPv4 first; none when it has none. */
export async function lookupSystem(host: string, timeoutMs: number): Promise<readonly string[]> {
  const { promise, resolve: giveUp } = Promise.withResolvers<readonly LookupAddress[]>();
  const timer = setTimeout(() => giveUp([]), timeoutMs);
  const answers = await Promise.race([lookup(host, { all: true, order: "ipv4first" }).catch(() => []), promise]);
  clearTimeout(timer);
  return [...new Set(answers.map((answer) => answer.address))];
}
