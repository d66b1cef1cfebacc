/**
 * Mistral: llama with a sliding window in every block.
 * @module
 */
import { limits } from "../Architecture.ts"
import type { Family } from "../Family.ts"
import { describeHuggingFace, huggingFaceIgnored, huggingFaceNames } from "./huggingFace.ts"

/** No biases. GGUF files call themselves llama. */
export const mistral: Family = {
  name: "mistral",
  huggingFace: {
    types: ["mistral"],
    describe: (description) => {
      const window = description.fields.size("sliding_window", limits.contextLength)
      return describeHuggingFace(description, {
        family: "mistral",
        bias: { qkv: false, output: false },
        windows: (blocks) => new Array(blocks).fill(window)
      })
    },
    tensors: huggingFaceNames,
    ignored: huggingFaceIgnored
  }
}
