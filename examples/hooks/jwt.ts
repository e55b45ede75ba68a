// Lets only requests with a valid JSON Web Token (HS256) pass, and tells the endpoint who it is. The signature is
// checked here: no other service is asked.

import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { defineConfig, type HookRequest, type HookResponse } from "sluice";

/** Without a secret no token is valid. */
const secret = process.env["JWT_SECRET"] ?? randomBytes(32);

interface Claims {
  readonly sub?: unknown;
  readonly exp?: unknown;
}

function decode(part: string): unknown {
  try {
    return JSON.parse(Buffer.from(part, "base64url").toString());
  } catch {
    return null;
  }
}

/** The user whom a token speaks of, or null if it is not ours or not valid any more. */
function userOf(token: string): string | null {
  const [head, body, signature, ...more] = token.split(".");
  if (head === undefined || body === undefined || signature === undefined || more.length > 0) return null;
  // The token must not choose how it is checked.
  if ((decode(head) as { alg?: unknown } | null)?.alg !== "HS256") return null;
  const wanted = createHmac("sha256", secret).update(`${head}.${body}`).digest();
  const given = Buffer.from(signature, "base64url");
  if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) return null;
  const { sub, exp } = (decode(body) ?? {}) as Claims;
  if (typeof exp !== "number" || exp * 1000 <= Date.now()) return null;
  return typeof sub === "string" && /^[\x21-\x7e]+$/.test(sub) ? sub : null;
}

function checkToken(request: HookRequest): HookResponse | undefined {
  const [scheme, token = ""] = (request.header("authorization") ?? "").split(" ");
  const user = scheme?.toLowerCase() === "bearer" ? userOf(token) : null;
  if (user === null) {
    return {
      status: 401,
      headers: { "www-authenticate": 'Bearer realm="api"', "content-type": "application/json" },
      body: JSON.stringify({ error: "a valid token is needed", requestId: request.requestId }),
    };
  }
  request.setHeader("x-user", user); // in place of whatever the client has sent
  request.removeHeader("authorization");
  request.log("user", user);
  return undefined;
}

export default defineConfig({
  listeners: {
    api: {
      bind: "127.0.0.1:8080",
      routes: [
        { match: { path: "/health" }, respond: { body: "ok\n" } },
        { forward: "api", hooks: { request: checkToken } },
      ],
    },
  },
  pools: { api: { endpoints: ["127.0.0.1:3000", "127.0.0.1:3001"] } },
});
