// "Did you mean …": the nearest of a list of known words. For messages only; never decides anything.

/** Distances beyond this are not worth computing; words longer than it are compared by their beginning. */
const WORD_LENGTH_MAX = 64;

/** Edit distance with neighbouring letters swapped counting as one (optimal string alignment). */
function distance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let cost = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        cost = Math.min(cost, beforeLast[j - 2]! + 1);
      row.push(cost);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length]!;
}

/** Are they one word but for case, dashes and underscores? */
export function sameWord(a: string, b: string): boolean {
  return squash(a) === squash(b);
}

/** Letters only, lower case: "slow_start", "slow-start" and "slowStart" are one word. */
function squash(word: string): string {
  return word.toLowerCase().replace(/[-_ .]/g, "");
}

/** The known word nearest to the given one, or null if none is near: at most two fifths of the letters differ. */
export function nearest(word: string, known: readonly string[]): string | null {
  const given = squash(word.slice(0, WORD_LENGTH_MAX));
  if (given === "") return null;
  let best: string | null = null;
  let bestDistance = Infinity;
  for (const candidate of known) {
    const other = squash(candidate.slice(0, WORD_LENGTH_MAX));
    const far = Math.max(1, Math.floor(Math.max(given.length, other.length) * 0.4)) + 1;
    const limit = Math.min(bestDistance, far, given.length);
    if (Math.abs(other.length - given.length) >= limit) continue;
    const d = distance(given, other);
    if (d < limit) {
      best = candidate;
      bestDistance = d;
    }
  }
  return best;
}

/** What nginx, HAProxy, Envoy, Traefik, Caddy and AWS call the same thing. */
const synonyms: Readonly<Record<string, readonly string[]>> = {
  address: ["server", "target", "url", "upstream", "hostname"],
  bind: ["listen", "listenaddress", "port", "addr"],
  endpoints: ["servers", "server", "targets", "backends", "members", "upstreams", "nodes", "hosts"],
  pools: ["upstreams", "upstream", "backends", "backend", "services", "targetgroups", "clusters"],
  listeners: ["servers", "frontends", "frontend", "entrypoints", "listen"],
  forward: ["pool", "upstream", "backend", "proxypass", "usebackend", "service", "to", "target"],
  balance: ["algorithm", "lbpolicy", "loadbalancer", "strategy", "policy", "lb"],
  by: ["algorithm", "type", "policy", "method", "strategy"],
  healthyThreshold: ["rise", "passes", "healthy", "successthreshold"],
  unhealthyThreshold: ["fall", "fails", "unhealthy", "failurethreshold", "retries"],
  health: ["healthcheck", "check", "healthchecks", "activehealthcheck"],
  passive: ["passivehealthcheck", "maxfails"],
  outlier: ["outlierdetection", "ejection"],
  circuit: ["circuitbreaker", "circuitbreakers"],
  discovery: ["servicediscovery", "discover"],
  sticky: ["stickiness", "affinity", "sessionaffinity", "persistence", "stickysession", "stickysessions", "session"],
  match: ["rule", "rules", "matches", "conditions", "when", "if"],
  host: ["hosts", "hostname", "hostnames", "servername", "authority", "hostheader", "domain"],
  prefix: ["pathprefix", "location", "startswith"],
  regex: ["pathregexp", "regexp", "pathregex", "saferegex"],
  redirect: ["return", "redirectto", "redirectscheme", "redirectregex"],
  respond: ["fixedresponse", "directresponse", "staticresponse", "httpreturn"],
  requestHeaders: ["proxysetheader", "requestheaderstoadd", "requestheadermodifier", "headerup"],
  responseHeaders: ["addheader", "responseheaderstoadd", "responseheadermodifier", "headerdown"],
  retry: ["retrypolicy", "proxynextupstream", "redispatch"],
  attempts: ["retries", "numretries", "proxynextupstreamtries", "count"],
  on: ["retryon", "conditions", "retryconditions", "when"],
  budget: ["retrybudget"],
  rateLimit: ["limitreq", "ratelimiting", "ratelimits", "throttle", "limits"],
  concurrency: ["limitconn", "inflightreq", "maxinflight"],
  per: ["period", "window", "interval", "unit"],
  requests: ["rate", "average", "limit", "max", "amount"],
  access: ["ipallowlist", "ipwhitelist", "acl", "sourcerange", "allow", "deny"],
  basicAuth: ["authbasic", "auth", "basic"],
  forwardAuth: ["authrequest", "extauthz", "externalauth"],
  compress: ["gzip", "compression", "brotli", "zstd", "encode"],
  codings: ["encodings", "algorithms", "algorithm"],
  types: ["contenttypes", "mimetypes", "gziptypes"],
  level: ["quality", "complevel", "gzipcomplevel"],
  minBytes: ["minlength", "gzipminlength", "minsize"],
  origins: ["alloworigins", "alloworigin", "allowedorigins", "alloworiginlist"],
  mirror: ["shadow", "mirroring", "requestmirror", "requestmirrorpolicies"],
  share: ["percent", "percentage", "fraction"],
  allow: ["whitelist", "allowlist", "permit"],
  deny: ["blacklist", "blocklist", "denylist", "block"],
  to: ["location", "target", "replacement", "url", "uri"],
  maxConnections: ["maxconns", "maxconn"],
  slowStart: ["warmup", "slowstarttime"],
  path: ["uri", "url"],
  response: ["read", "proxyreadtimeout"],
  idle: ["keepalive", "keepalivetimeout"],
  bodyBytes: ["clientmaxbodysize", "maxbodysize", "body"],
  status: ["statuses", "codes", "matcher", "code", "statuscode", "httpcode"],
};

/** The known word that other load balancers call by the given one, or null. */
export function synonym(word: string, known: readonly string[]): string | null {
  const given = squash(word);
  return known.find((candidate) => synonyms[candidate]?.includes(given) === true) ?? null;
}

/** How a suggestion begins; the word itself follows. */
export const MEANT = "did you mean ";

/** "did you mean X", or "" when nothing is near. */
export function didYouMean(word: string, known: readonly string[]): string {
  const found = nearest(word, known);
  return found === null ? "" : MEANT + found;
}

const LISTED_MAX = 12;

/** "a, b or c"; a long list is cut. */
export function listWords(words: readonly string[]): string {
  if (words.length > LISTED_MAX) return `${words.slice(0, LISTED_MAX).join(", ")} …`;
  if (words.length < 2) return words.join("");
  return `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
}
