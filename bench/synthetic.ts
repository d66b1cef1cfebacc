/**
 * Writes the synthetic model (shapes of Llama-3.2-1B, random Q4_0 blocks) and prints where it is.
 *
 *     node --import tsx --conditions=swarm-src bench/synthetic.ts [--vocabulary 128256] [--out FILE.gguf] [--json]
 * @module
 */
import * as fs from "node:fs"
import { parseArgs } from "node:util"
import { synthetic } from "./support/models.ts"
import { writeSynthetic } from "./support/synthetic.ts"

const { values } = parseArgs({
  options: {
    vocabulary: { type: "string", default: "128" },
    out: { type: "string" },
    json: { type: "boolean", default: false }
  }
})
const vocabulary = Number(values.vocabulary)
if (values.out !== undefined) writeSynthetic(values.out, vocabulary)
const file = values.out ?? synthetic(vocabulary)
const bytes = fs.statSync(file).size
console.log(values.json ? JSON.stringify({ file, bytes, vocabulary }) : `${file}  ${(bytes / 1e6).toFixed(0)} MB`)
