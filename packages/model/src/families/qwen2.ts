/**
 * Qwen2 and Qwen2.5: llama with biases on q, k and v; some blocks may have a sliding window.
 * @module
 */
import { limits } from "../Architecture.ts"
import type { Description, Family } from "../Family.ts"
import { describeGguf, ggufIgnored, ggufNames } from "./gguf.ts"
import { describeHuggingFace, huggingFaceIgnored, huggingFaceNames, slidingBlocks } from "./huggingFace.ts"

/**
 * Windows of the blocks, where `use_sliding_window` is set: those that `layer_types` calls `sliding_attention`, or else
 * those from `max_window_layers` on.
 */
export const qwenWindows =
  ({ fields }: Description) =>
  (blocks: number): ReadonlyArray<number | undefined> => {
    const window = fields.boolean("use_sliding_window")
      ? fields.size("sliding_window", limits.contextLength)
      : undefined
    const first = fields.number("max_window_layers") ?? 28
    return slidingBlocks(fields, blocks, (block) => block >= first).map((sliding) => (sliding ? window : undefined))
  }

/** The output projection has no bias. */
export const qwen2: Family = {
  name: "qwen2",
  huggingFace: {
    types: ["qwen2"],
    describe: (description) =>
      describeHuggingFace(description, {
        family: "qwen2",
        bias: { qkv: true, output: false },
        windows: qwenWindows(description)
      }),
    tensors: huggingFaceNames,
    ignored: huggingFaceIgnored
  },
  gguf: {
    types: ["qwen2"],
    describe: (description) => describeGguf(description, { family: "qwen2", rotary: "halves" }),
    tensors: ggufNames,
    ignored: ggufIgnored
  }
}
