// What `import … from "sluice"` gives: the types of a configuration, and tests of its routes. A sluice.config.ts that
// the balancer runs gets defineConfig alone (sys/modules.ts).

export * from "./config/ts/define.ts";
export { expectRoute, type RouteExpectation, routeTests, type TestRequest } from "./explain/expect-route.ts";
export { readConfig } from "./explain/read-config.ts";
