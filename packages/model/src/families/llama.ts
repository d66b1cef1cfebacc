/**
 * Llama 1 to 3, and the many models that use its architecture.
 * @module
 */
import type { Family } from "../Family.ts"
import { describeGguf, ggufExperts, ggufIgnored, ggufNames } from "./gguf.ts"
import { describeHuggingFace, huggingFaceIgnored, huggingFaceNames } from "./huggingFace.ts"

/** Biases are optional; GGUF files of Mistral and Mixtral carry this name too. */
export const llama: Family = {
  name: "llama",
  huggingFace: {
    types: ["llama"],
    describe: (description) => describeHuggingFace(description, { family: "llama" }),
    tensors: huggingFaceNames,
    ignored: huggingFaceIgnored
  },
  gguf: {
    types: ["llama"],
    describe: (description) =>
      describeGguf(description, { family: "llama", rotary: "pairs", experts: { normalized: true, shared: false } }),
    tensors: { ...ggufNames, ...ggufExperts },
    ignored: ggufIgnored
  }
}
