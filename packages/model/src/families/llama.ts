/**
 * Llama 1 to 3, and the many models that use its architecture.
 * @module
 */
import type { Family } from "../Family.ts"
import { describeGguf, ggufIgnored, ggufNames } from "./gguf.ts"
import { describeHuggingFace, huggingFaceIgnored, huggingFaceNames } from "./huggingFace.ts"

/** Biases are optional; GGUF files of Mistral carry this name too. */
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
    describe: (description) => describeGguf(description, { family: "llama", interleaved: true }),
    tensors: ggufNames,
    ignored: ggufIgnored
  }
}
