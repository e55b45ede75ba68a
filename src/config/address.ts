// Addresses as people write them: "0.0.0.0:8080", "[::1]:80", "app.example.com:3000", "unix:/run/app.sock". Syntax
// only: no name is resolved here, no file looked at.

import { formatIp, parseIp } from "../base/ip.ts";
import type { BindAddress } from "../model/config.ts";

/** Where an endpoint is; host "" for unix sockets. */
export interface EndpointAddress {
  readonly host: string;
  readonly port: number;
  readonly unixPath: string | null;
}

/** What is wrong with a text, in the words of a diagnostic. */
export interface Fault {
  readonly message: string;
  readonly hint: string;
}

/** Longest path of a unix socket in bytes on every platform (macOS has 103, Linux 107). */
const UNIX_PATH_BYTES_MAX = 103;

export function isFault(value: object): value is Fault {
  return "message" in value;
}

export function fault(message: string, hint = ""): Fault {
  return { message, hint };
}

interface HostPort {
  /** Without brackets; bracketed tells whether they were there. */
  readonly host: string;
  readonly bracketed: boolean;
  readonly port: number;
}

function splitHostPort(text: string): HostPort | Fault {
  const scheme = /^[a-z][a-z0-9+.-]*:\/\//i.exec(text);
  if (scheme !== null) {
    const rest = text.slice(scheme[0].length).replace(/\/.*$/, "");
    return fault(`expected host:port, found a URL ${JSON.stringify(text)}`, `leave out the scheme: ${rest}`);
  }
  const bracket = /^\[([^\]]*)\](.*)$/.exec(text);
  const colon = text.lastIndexOf(":");
  if (bracket === null && colon !== text.indexOf(":")) {
    const withPort = parseIp(text.slice(0, colon)) !== null && /^\d{1,5}$/.test(text.slice(colon + 1));
    const example = withPort ? `[${text.slice(0, colon)}]${text.slice(colon)}` : "[::1]:80";
    return fault(`expected host:port, found ${JSON.stringify(text)}`, `IPv6 addresses stand in brackets: ${example}`);
  }
  const host = bracket === null ? (colon < 0 ? text : text.slice(0, colon)) : bracket[1]!;
  const rest = bracket === null ? (colon < 0 ? "" : text.slice(colon)) : bracket[2]!;
  if (rest === "" || rest === ":") {
    return fault(`${JSON.stringify(text)} has no port`, `write ${rest === ":" ? text : `${text}:`}80`);
  }
  if (!/^:\d{1,5}$/.test(rest) || Number(rest.slice(1)) > 65_535) {
    return fault(`expected a port from 0 to 65535 after the host, found ${JSON.stringify(rest.replace(/^:/, ""))}`);
  }
  return { host, bracketed: bracket !== null, port: Number(rest.slice(1)) };
}

function parseUnixPath(text: string): string | Fault {
  const path = text.slice("unix:".length);
  if (path.startsWith("@") && path.length > 1) return checkUnixLength(`\0${path.slice(1)}`);
  if (!path.startsWith("/") && !path.startsWith("./")) {
    const found = path === "" ? "nothing" : JSON.stringify(path);
    return fault(
      `expected a path after unix:, found ${found}`,
      "write unix:/run/app.sock, or unix:@name for an abstract socket",
    );
  }
  if (path.includes("\0") || path.endsWith("/")) return fault(`${JSON.stringify(path)} cannot be the path of a socket`);
  return checkUnixLength(path);
}

function checkUnixLength(path: string): string | Fault {
  const bytes = new TextEncoder().encode(path).length;
  if (bytes <= UNIX_PATH_BYTES_MAX) return path;
  return fault(
    `the path of a unix socket has at most ${UNIX_PATH_BYTES_MAX} bytes, this one ${bytes}`,
    "use a shorter path",
  );
}

/** An IP literal, canonical, with its %zone if it has one; null if it is none. */
function canonicalIp(text: string): string | null {
  const zone = /^([^%]*)%([A-Za-z0-9_.-]{1,15})$/.exec(text);
  const bytes = parseIp(zone === null ? text : zone[1]!);
  if (bytes === null || (zone !== null && bytes.length === 4)) return null;
  return zone === null ? formatIp(bytes) : `${formatIp(bytes)}%${zone[2]}`;
}

/** RFC 1123 names, and the underscores that service names of container platforms contain. */
export function isHostName(text: string): boolean {
  if (text.length > 253) return false;
  const labels = text.replace(/\.$/, "").split(".");
  // A last label of digits only would make it a malformed IPv4 address (RFC 3986 7.4 tells what comes of such names).
  if (/^\d+$/.test(labels.at(-1)!)) return false;
  return labels.every((label) => /^[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$/.test(label));
}

/** What a listener binds: an IP literal and port, or a unix socket. */
export function parseBind(text: string): BindAddress | Fault {
  if (text.startsWith("unix:")) {
    const path = parseUnixPath(text);
    return typeof path === "string" ? { ip: "", port: 0, unixPath: path } : path;
  }
  if (/^:?\d{1,5}$/.test(text)) {
    const port = text.replace(":", "");
    return fault(`${JSON.stringify(text)} has no address`, `write 0.0.0.0:${port}, or [::]:${port} for IPv6 as well`);
  }
  const parts = splitHostPort(text);
  if (isFault(parts)) return parts;
  const ip = canonicalIp(parts.host);
  if (ip !== null && ip.includes(":") === parts.bracketed) return { ip, port: parts.port, unixPath: null };
  const example = { "*": "0.0.0.0", localhost: "127.0.0.1", "": "0.0.0.0" }[parts.host];
  const hint =
    example === undefined ? hostHint(parts, "listeners bind addresses, not names") : `write ${example}:${parts.port}`;
  return fault(`expected an IP address before the port, found ${JSON.stringify(parts.host)}`, hint);
}

function hostHint(parts: HostPort, otherwise: string): string {
  if (!/^[\d.]+$/.test(parts.host)) return otherwise;
  if (parseIp(parts.host) !== null) return "brackets are for IPv6 addresses only";
  return "an IPv4 address has four numbers from 0 to 255, without leading zeros";
}

/** Where an endpoint is: an IP literal or host name with a port, or a unix socket. */
export function parseEndpointAddress(text: string): EndpointAddress | Fault {
  if (text.startsWith("unix:")) {
    const path = parseUnixPath(text);
    return typeof path === "string" ? { host: "", port: 0, unixPath: path } : path;
  }
  const parts = splitHostPort(text);
  if (isFault(parts)) return parts;
  if (parts.port === 0) return fault("an endpoint cannot have port 0", "write the port the server listens on");
  const ip = canonicalIp(parts.host);
  if (ip !== null && ip.includes(":") === parts.bracketed) return { host: ip, port: parts.port, unixPath: null };
  if (!parts.bracketed && isHostName(parts.host)) {
    return { host: parts.host.toLowerCase(), port: parts.port, unixPath: null };
  }
  return fault(`${JSON.stringify(parts.host)} is neither an IP address nor a host name`, hostHint(parts, ""));
}

/** A name server: an IP literal, with a port unless it is 53. The text itself. */
export function parseNameServer(text: string): string | Fault {
  if (canonicalIp(text) !== null) return text;
  const parts = splitHostPort(text);
  if (isFault(parts)) return fault(`expected the address of a name server, found ${JSON.stringify(text)}`);
  const ip = canonicalIp(parts.host);
  if (ip !== null && ip.includes(":") === parts.bracketed && parts.port > 0) return text;
  return fault(
    `expected an IP address with or without a port, found ${JSON.stringify(text)}`,
    ip === null ? "a name server cannot be given by name" : "",
  );
}

/** The text that parseBind reads as the same address. */
export function formatBind(bind: BindAddress): string {
  return formatAddress(bind.ip, bind.port, bind.unixPath);
}

/** The text that parseEndpointAddress reads as the same address; also an endpoint's id unless one is given. */
export function formatAddress(host: string, port: number, unixPath: string | null): string {
  if (unixPath !== null) return `unix:${unixPath.replace(/^\0/, "@")}`;
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
