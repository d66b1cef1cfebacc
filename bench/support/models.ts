/**
 * The models that the benchmarks run, by name.
 * @module
 */
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { fileName, writeSynthetic } from "./synthetic.ts"

/** Where this library and its benchmarks keep what can be made again: `SWARM_CACHE`, else `swarm` in the user's cache. */
const cacheFolder =
  process.env.SWARM_CACHE ?? path.join(process.env.XDG_CACHE_HOME ?? path.join(os.homedir(), ".cache"), "swarm")

const smollm2 = () => process.env.SWARM_SMOLLM2 ?? path.join(cacheFolder, "models", "SmolLM2-135M-Instruct.Q4_1.gguf")

/** The synthetic model in the cache folder, written if it is not there yet. */
export const synthetic = (vocabulary: number): string => {
  const file = path.join(cacheFolder, "bench", fileName(vocabulary))
  if (!fs.existsSync(file)) {
    process.stderr.write(`writing ${file}\n`)
    writeSynthetic(file, vocabulary)
  }
  return file
}

/** "smollm2", "synthetic" (vocabulary 128), "synthetic:VOCABULARY", or a path -> the absolute path of a GGUF file. */
export const modelFile = (named = "smollm2"): string => {
  const [name, vocabulary = "128"] = named.split(":")
  const file = name === "smollm2" ? smollm2() : name === "synthetic" ? synthetic(Number(vocabulary)) : named
  if (!fs.existsSync(file))
    throw new Error(
      `There is no "${file}"${name === "smollm2" ? ": npm test fetches it, or SWARM_SMOLLM2 names the file" : ""}`
    )
  return path.resolve(file)
}
