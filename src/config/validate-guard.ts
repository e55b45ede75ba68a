// The rules about what keeps requests out or in order: access, authentication, CORS, compression, rates.

import { formatMs } from "../base/duration.ts";
import { passwordHashProblem } from "../base/passwords.ts";
import { OFF, type RouteConfig } from "../model/config.ts";
import type {
  BasicAuthConfig,
  CompressConfig,
  CookieConfig,
  CorsConfig,
  ForwardAuthConfig,
} from "../model/route-config.ts";
import { isHostName } from "./address.ts";
import { checkBlocks, checkHeaderName, checkNames, checkPool, checkTemplate } from "./check-text.ts";
import { tokenPattern } from "./fields.ts";
import { error, errorAtKey, warning, type Path, type Problem } from "./problem.ts";

export function validateGuards(route: RouteConfig, pools: readonly string[], path: Path, problems: Problem[]): void {
  if (route.access !== null) validateAccess(route.access, [...path, "access"], problems);
  if (route.basicAuth !== null) validateBasicAuth(route.basicAuth, [...path, "basicAuth"], problems);
  if (route.forwardAuth !== null) validateForwardAuth(route.forwardAuth, pools, [...path, "forwardAuth"], problems);
  if (route.cors !== null) validateCors(route.cors, [...path, "cors"], problems);
  if (route.compress !== null) validateCompress(route.compress, [...path, "compress"], problems);
  const rate = route.minRate;
  if (rate !== null && rate.request === OFF && rate.response === OFF) {
    problems.push(
      error([...path, "minRate"], "neither request nor response has a rate", "write request: 1k, or leave it out"),
    );
  }
  validateLimits(route, path, problems);
}

function validateLimits(route: RouteConfig, path: Path, problems: Problem[]): void {
  route.rateLimits.forEach((limit, i) => {
    const same = route.rateLimits.findIndex(
      (l) => l.by.from === limit.by.from && l.by.name === limit.by.name && l.perMs === limit.perMs,
    );
    if (same === i) return;
    const message = `rateLimit[${same}] counts by the same, in the same time`;
    problems.push(warning([...path, "rateLimit", i], message, "the smaller one decides: remove the other"));
  });
}

export function validateAccess(access: NonNullable<RouteConfig["access"]>, path: Path, problems: Problem[]): void {
  checkBlocks(access.allow, [...path, "allow"], problems);
  checkBlocks(access.deny, [...path, "deny"], problems);
}

/** YAML takes nothing out of single quotes; shells do, out of double ones. */
function hashHint(hash: string): string {
  return /^\$(2[aby]|argon2|5|6)/.test(hash) ? "put it in single quotes, whole" : "make one with htpasswd -nB NAME";
}

function validateBasicAuth(auth: BasicAuthConfig, path: Path, problems: Problem[]): void {
  if (auth.users.length === 0) problems.push(error([...path, "users"], "there are no users: nobody could log in"));
  for (const { name, hash } of auth.users) {
    const at = [...path, "users", name];
    if (name === "" || name.includes(":") || /[\u0000-\u001f\u007f]/.test(name)) {
      problems.push(errorAtKey(at, "a user name has no colon and no control characters"));
    }
    const problem = passwordHashProblem(hash);
    if (problem !== null) problems.push(error(at, `the hash of a password ${problem}`, hashHint(hash)));
  }
  if (!/^[ !#-[\]-~]*$/.test(auth.realm)) {
    problems.push(error([...path, "realm"], "a realm is printable ASCII without quotes and backslashes"));
  }
  if (auth.userHeader !== "") {
    checkHeaderName(auth.userHeader, [...path, "userHeader"], false, "choose another header", problems);
  }
}

function validateForwardAuth(auth: ForwardAuthConfig, pools: readonly string[], path: Path, problems: Problem[]): void {
  checkPool(auth.pool, pools, [...path, "pool"], problems);
  const at = [...path, "path"];
  checkTemplate(auth.path, { forwarded: false, captures: -1 }, at, problems);
  if (!/^(\/|\{uri\}|\{path\})[!-~]*$/.test(auth.path)) {
    const message = `expected a path that begins with / and has no spaces, found ${JSON.stringify(auth.path)}`;
    problems.push(error(at, message, "{uri} is the request's own path and query"));
  }
  checkNames(auth.requestHeaders, "header", [...path, "requestHeaders"], problems);
  auth.copyHeaders.forEach((name, i) => {
    checkHeaderName(name, [...path, "copyHeaders", i], false, "use rewrite: { host: … }", problems);
  });
  checkNames(auth.cacheKey, "header", [...path, "cacheKey"], problems);
  if (auth.cacheMs !== OFF && auth.cacheKey.length === 0) {
    const message = `without a cacheKey one answer is good for everybody, for ${formatMs(auth.cacheMs)}`;
    problems.push(error([...path, "cacheKey"], message, "name the headers that carry credentials"));
  }
}

function validateCors(cors: CorsConfig, path: Path, problems: Problem[]): void {
  cors.origins.forEach((origin, i) => {
    if (origin === "*" || origin === "null" || /^[a-z][a-z0-9+.-]*:\/\/[^/?#\s]+$/.test(origin)) return;
    const hint = origin.includes("/") ? "leave out what follows the host and port" : `write https://${origin}`;
    problems.push(
      error(
        [...path, "origins", i],
        `expected an origin such as https://app.example.com, found ${JSON.stringify(origin)}`,
        hint,
      ),
    );
  });
  if (cors.credentials && cors.origins.includes("*")) {
    const message = "credentials for every origin would let any site act as its visitors";
    problems.push(error(path, message, "name the origins"));
  }
  checkNames(cors.methods, "method", [...path, "methods"], problems);
  checkNames(cors.headers, "header", [...path, "headers"], problems);
  checkNames(cors.expose, "header", [...path, "expose"], problems);
}

/** Types whose content is compressed already: once more makes it larger. */
const compressedTypes =
  /^(image\/(?!svg|bmp|x-icon|vnd\.microsoft\.icon)|video\/|audio\/|application\/(zip|gzip|zstd|x-7z))/;

function validateCompress(compress: CompressConfig, path: Path, problems: Problem[]): void {
  compress.types.forEach((type, i) => {
    const at = [...path, "types", i];
    if (!/^(\*|[a-z0-9!#$&^_.+*-]+)\/[a-z0-9!#$&^_.+*-]+$/.test(type)) {
      problems.push(
        error(at, `expected a media type such as text/* or application/json, found ${JSON.stringify(type)}`),
      );
    } else if (compressedTypes.test(type)) {
      problems.push(warning(at, `${type} is compressed already`, "leave it out"));
    }
  });
  if (new Set(compress.codings).size < compress.codings.length) {
    problems.push(error([...path, "codings"], "a coding is given twice"));
  }
}

/** A cookie of ours: RFC 6265 4.1, and what browsers refuse. */
export function validateCookie(cookie: CookieConfig, path: Path, problems: Problem[]): void {
  const { name, secure, sameSite, domain } = cookie;
  if (!tokenPattern.test(name)) {
    problems.push(error([...path, "name"], `${JSON.stringify(name)} is not the name of a cookie`));
  }
  if (!cookie.path.startsWith("/") || /[;\s]|[^!-~]/.test(cookie.path)) {
    const message = `expected a path that begins with / and has no spaces, found ${JSON.stringify(cookie.path)}`;
    problems.push(error([...path, "path"], message));
  }
  if (domain !== "" && !isHostName(domain)) {
    problems.push(
      error([...path, "domain"], `expected a host name such as example.com, found ${JSON.stringify(domain)}`),
    );
  }
  if (sameSite === "none" && secure === "never") {
    problems.push(error([...path, "sameSite"], "browsers refuse SameSite=None without Secure", "write secure: always"));
  } else if (sameSite === "none" && secure === "auto") {
    const message = "where requests do not come by TLS, browsers refuse this cookie";
    problems.push(warning([...path, "sameSite"], message, "write secure: always if they all do"));
  }
  if (/^__(Host|Secure)-/.test(name) && secure !== "always") {
    problems.push(
      error([...path, "secure"], `browsers refuse a cookie called ${name} without Secure`, "write secure: always"),
    );
  } else if (name.startsWith("__Host-") && (cookie.path !== "/" || domain !== "")) {
    problems.push(error([...path, "name"], `browsers refuse ${name} with a domain or another path than /`));
  }
}
