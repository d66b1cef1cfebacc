/**
 * SmolLM3: llama in which every fourth block has no rotary embedding.
 * @see {@link https://arxiv.org/abs/2501.18795} on leaving it out
 * @module
 */
import type { Family } from "../Family.ts"
import { describeHuggingFace, huggingFaceIgnored, huggingFaceNames } from "./huggingFace.ts"
import { qwenWindows } from "./qwen2.ts"

/** `no_rope_layers` has a 1 for each block that has it. */
export const smollm3: Family = {
  name: "smollm3",
  huggingFace: {
    types: ["smollm3"],
    describe: (description) => {
      const { fields } = description
      const base = describeHuggingFace(description, {
        family: "smollm3",
        windows: qwenWindows(description),
        tied: true
      })
      const marks = fields.numbers("no_rope_layers")
      if (marks !== undefined && marks.length !== base.blocks) {
        throw fields.fail("no_rope_layers", `has ${marks.length} items for ${base.blocks} blocks`)
      }
      const interval = fields.size("no_rope_layer_interval", base.blocks + 1) ?? 4
      const turns = (block: number) => (marks === undefined ? (block + 1) % interval !== 0 : marks[block] !== 0)
      return {
        ...base,
        layers: base.layers.map(({ rotary, ...layer }, block) => (turns(block) ? { ...layer, rotary: 0 } : layer))
      }
    },
    tensors: huggingFaceNames,
    ignored: huggingFaceIgnored
  }
}
