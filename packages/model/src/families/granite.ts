/**
 * Granite 3: llama with factors on the embedding, the scores, the branches and the logits.
 * @module
 */
import type { Family } from "../Family.ts"
import type { Fields } from "../Fields.ts"
import { describeGguf, ggufIgnored, ggufNames } from "./gguf.ts"
import { describeHuggingFace, huggingFaceIgnored, huggingFaceNames } from "./huggingFace.ts"

const factors = (fields: Fields, keys: Readonly<Record<"embedding" | "residual" | "logits", string>>) => ({
  embeddingScale: fields.positive(keys.embedding) ?? 1,
  residualScale: fields.positive(keys.residual) ?? 1,
  logitScale: 1 / (fields.positive(keys.logits) ?? 1)
})

/** The factor of the scores stands in for 1 / sqrt(headDim). */
export const granite: Family = {
  name: "granite",
  huggingFace: {
    types: ["granite"],
    describe: (description) => {
      const { fields } = description
      const llama = describeHuggingFace(description, { family: "granite" })
      const scale = fields.positive("attention_multiplier") ?? 1
      const keys = { embedding: "embedding_multiplier", residual: "residual_multiplier", logits: "logits_scaling" }
      return { ...llama, attention: { ...llama.attention, scale }, ...factors(fields, keys) }
    },
    tensors: huggingFaceNames,
    ignored: huggingFaceIgnored
  },
  gguf: {
    types: ["granite"],
    describe: (description) => ({
      ...describeGguf(description, { family: "granite", rotary: "pairs" }),
      ...factors(description.fields, {
        embedding: "embedding_scale",
        residual: "residual_scale",
        logits: "logit_scale"
      })
    }),
    tensors: ggufNames,
    ignored: ggufIgnored
  }
}
