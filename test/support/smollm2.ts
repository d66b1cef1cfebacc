/**
 * The real model of the tests: SmolLM2-135M-Instruct, Q4_1, fetched by `npm test` into the cache.
 * @module
 */
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"

const NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"

/** Its path; undefined if it is not there: tests that need it are then skipped by name. */
export const smollm2: string | undefined = [
  process.env.SWARM_SMOLLM2,
  path.join(process.env.SWARM_CACHE ?? path.join(os.homedir(), ".cache", "swarm"), "models", NAME)
].find((file) => file !== undefined && fs.existsSync(file))
