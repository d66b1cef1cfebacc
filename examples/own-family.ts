/** Teaches the reader a family that it does not know: its name in the configuration, and how it differs from llama. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { builtIn, openModel, registerFamily } from "@swarm/model"
import { Effect } from "effect"

// a checkpoint of a family of our own: the embedded model under another name, with one more field
const folder = mkdtempSync(join(tmpdir(), "swarm-family-"))
cpSync(new URL("../packages/model/models/tiny", import.meta.url), folder, { recursive: true })
const config = JSON.parse(readFileSync(join(folder, "config.json"), "utf8"))
writeFileSync(
  join(folder, "config.json"),
  JSON.stringify({ ...config, model_type: "tale-teller", residual_multiplier: 0.5 })
)

const tellOf = Effect.match(openModel(folder), {
  onFailure: (error) => error.message.replace(folder, ""),
  onSuccess: ({ architecture: { family, blocks, residualScale } }) =>
    `${family}: ${blocks} blocks, each branch times ${residualScale}`
})
console.log(await Effect.runPromise(tellOf))

const [{ huggingFace: llama }] = builtIn
if (llama !== undefined) {
  registerFamily({
    name: "tale-teller",
    huggingFace: {
      ...llama,
      types: ["tale-teller"],
      describe: (description, type) => ({
        ...llama.describe(description, type),
        family: "tale-teller",
        residualScale: description.fields.need(
          "residual_multiplier",
          description.fields.positive("residual_multiplier")
        )
      })
    }
  })
}
console.log(await Effect.runPromise(tellOf))
rmSync(folder, { recursive: true })
// prints: Unknown architecture "tale-teller"
// tale-teller: 8 blocks, each branch times 0.5
