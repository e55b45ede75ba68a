// The network of this system (on Linux the reactor) against the suite.

import { createNet } from "./net.ts";
import { useNet } from "./test-kit.ts";

useNet(createNet);
const suite = "./net-suite.ts?net";
await import(suite);
