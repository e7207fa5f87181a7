// Where this checkout is.

import { resolve } from "node:path";

/** The folder with package.json, absolute, without a slash at its end. */
export const projectRoot = resolve(import.meta.dirname, "../..");
