// How configurations are read from this machine: the implementation of what config/load.ts asks for.

import { readBytes } from "./files.ts";
import { importDefault } from "./modules.ts";

export const configFiles = { readBytes, importDefault } as const;
