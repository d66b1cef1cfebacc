/**
 * Qwen3: no biases by default; q and k are normed over each head.
 * @module
 */
import type { Family } from "../Family.ts"
import { describeGguf, ggufIgnored, ggufNames } from "./gguf.ts"
import { describeHuggingFace, huggingFaceIgnored, huggingFaceNames } from "./huggingFace.ts"
import { qwenWindows } from "./qwen2.ts"

/** The head dimension is independent of the hidden size: 128 by default. */
export const qwen3: Family = {
  name: "qwen3",
  huggingFace: {
    types: ["qwen3"],
    describe: (description) =>
      describeHuggingFace(description, { family: "qwen3", qkNorm: "head", windows: qwenWindows(description) }),
    tensors: huggingFaceNames,
    ignored: huggingFaceIgnored
  },
  gguf: {
    types: ["qwen3"],
    describe: (description) => describeGguf(description, { family: "qwen3", rotary: "halves", qkNorm: "head" }),
    tensors: ggufNames,
    ignored: ggufIgnored
  }
}
