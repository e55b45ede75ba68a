// Adds to the access log what only this site knows: the session (not its value, which is a secret), whether a cache
// answered, and whether the answer was slow. The log is written by Sluice, without waiting for the disk.

import { createHash } from "node:crypto";
import { defineConfig, type HookRequest, type HookResponseView } from "sluice";

const slowMs = 500;

function logRequest(request: HookRequest): void {
  const session = request.cookie("sid");
  if (session !== null) request.log("session", createHash("sha256").update(session).digest("hex").slice(0, 12));
  request.log("language", request.header("accept-language")?.slice(0, 2) ?? "");
}

function logResponse(response: HookResponseView, request: HookRequest): void {
  request.log("type", response.header("content-type")?.split(";")[0] ?? "");
  request.log("cached", response.header("x-cache") === "HIT");
  if (response.elapsedMs > slowMs) request.log("slow", true);
  response.removeHeader("x-cache");
}

export default defineConfig({
  accessLog: { format: "json" },
  listeners: {
    web: {
      bind: "127.0.0.1:8080",
      routes: [{ forward: "web", hooks: { request: logRequest, response: logResponse, onError: "bypass" } }],
    },
  },
  pools: { web: { endpoints: ["127.0.0.1:3000", "127.0.0.1:3001"] } },
});
