// Checks, before anything is measured, that a proxy does the whole job: right answers, whole bodies both ways, all the
// forwarded headers, and kept connections to the origin. A proxy that skips work would win the comparison unfairly.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { type Origin, patternBytes } from "./origin.ts";

const UPLOAD_BYTES = 1024 * 1024;
const SEQUENTIAL_REQUESTS = 30;
const REQUEST_ID = "bench-3f2a9c4e5d6b7a80";

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function expect(what: string, actual: unknown, wanted: unknown): void {
  if (actual !== wanted) {
    throw new Error(`${what}: expected ${JSON.stringify(wanted)}, got ${JSON.stringify(actual)}`);
  }
}

async function verifyBodies(base: string, origin: Origin): Promise<void> {
  for (const body of origin.bodies) {
    const response = await fetch(base + body.path);
    expect(`GET ${body.path}: status`, response.status, 200);
    const bytes = new Uint8Array(await response.arrayBuffer());
    expect(`GET ${body.path}: body length`, bytes.length, body.length);
    expect(`GET ${body.path}: SHA-256 of the body`, sha256(bytes), body.sha256);
  }
}

async function verifyUpload(base: string): Promise<void> {
  const bytes = patternBytes(UPLOAD_BYTES);
  const response = await fetch(`${base}/upload-keep`, { method: "POST", body: bytes });
  expect("POST /upload-keep: status", response.status, 200);
  const received = readFileSync(await response.text());
  expect("POST /upload-keep: length at the origin", received.length, bytes.length);
  expect("POST /upload-keep: SHA-256 at the origin", sha256(received), sha256(bytes));
}

async function verifyHeaders(base: string): Promise<void> {
  const host = base.replace("http://", "");
  const plain = (await (await fetch(`${base}/headers`)).json()) as Record<string, string>;
  expect("Host at the origin", plain["host"], host);
  expect("X-Forwarded-For at the origin", plain["for"], "127.0.0.1");
  expect("X-Forwarded-Proto at the origin", plain["proto"], "http");
  expect("X-Forwarded-Host at the origin", plain["forwardedHost"], host);
  expect("X-Forwarded-Port at the origin", plain["port"], host.split(":")[1]);
  expect("X-Real-IP at the origin", plain["realIp"], "127.0.0.1");
  expect("X-Request-Id at the origin is made", (plain["requestId"] ?? "").length >= 16, true);
  const own = await fetch(`${base}/headers`, { headers: { "x-request-id": REQUEST_ID, connection: "close" } });
  const kept = (await own.json()) as Record<string, string>;
  expect("X-Request-Id at the origin is kept", kept["requestId"], REQUEST_ID);
  expect("the client's Connection header stays at the proxy", kept["connectionHeader"] === "close", false);
}

/** Requests one after the other need one connection per endpoint and worker, not one each. */
async function verifyReuse(base: string, origin: Origin, workers: number): Promise<void> {
  const before = await origin.accepted();
  for (let i = 0; i < SEQUENTIAL_REQUESTS; i++) {
    await (await fetch(`${base}/small`, { headers: { connection: "close" } })).arrayBuffer();
  }
  const opened = (await origin.accepted()) - before;
  const allowed = origin.endpoints.length * workers;
  if (opened > allowed) {
    throw new Error(
      `${SEQUENTIAL_REQUESTS} requests opened ${opened} connections to the origin, at most ${allowed} wanted`,
    );
  }
}

/** Throws with what is wrong; base is the proxy's "http://127.0.0.1:PORT". */
export async function verifyProxy(base: string, origin: Origin, workers: number): Promise<void> {
  await verifyBodies(base, origin);
  await verifyUpload(base);
  await verifyHeaders(base);
  await verifyReuse(base, origin, workers);
}
