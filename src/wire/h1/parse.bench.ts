// Cost of parsing the heads of an ordinary browser request and its response.

import { Head, Method } from "../head.ts";
import { parseRequest, parseResponse } from "./parse.ts";
import { latin1 } from "./tables.ts";

/** A request of about 450 bytes. */
export const sampleRequest = latin1(
  "GET /assets/app.js?v=17 HTTP/1.1\r\nHost: www.example.com\r\nConnection: keep-alive\r\n" +
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n" +
    "Accept: */*\r\nAccept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n" +
    "Referer: https://www.example.com/start\r\nCookie: session=0123456789abcdef0123456789abcdef\r\n" +
    'Sec-Fetch-Dest: script\r\nIf-None-Match: "5d8c72a5edda8d6a"\r\n\r\n',
);
export const sampleResponse = latin1(
  "HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nContent-Type: text/javascript\r\n" +
    "Content-Length: 1024\r\nLast-Modified: Sun, 31 Dec 2023 00:00:00 GMT\r\nConnection: keep-alive\r\n" +
    'ETag: "65910a00-400"\r\nCache-Control: max-age=3600\r\nAccept-Ranges: bytes\r\n\r\n',
);

/** Nanoseconds per request head. */
export function bench(iterations: number): number {
  const head = new Head(100);
  const started = Bun.nanoseconds();
  for (let k = 0; k < iterations; k++) parseRequest(sampleRequest, 0, sampleRequest.length, head, 65536, 100);
  return (Bun.nanoseconds() - started) / iterations;
}

/** Nanoseconds per response head. */
export function benchResponse(iterations: number): number {
  const head = new Head(100);
  const started = Bun.nanoseconds();
  for (let k = 0; k < iterations; k++) {
    parseResponse(sampleResponse, 0, sampleResponse.length, head, Method.Get, 65536, 100);
  }
  return (Bun.nanoseconds() - started) / iterations;
}
