/**
 * Phi-3 and Phi-4: llama with fused matrices; some turn a part of each head only, or stretch their rotary embedding.
 * @module
 */
import { type Architecture, limits } from "../Architecture.ts"
import type { Family, TensorNames } from "../Family.ts"
import { fusedQkv } from "./fused.ts"
import { describeGguf, ggufFused, ggufIgnored } from "./gguf.ts"
import { describeHuggingFace, huggingFaceIgnored, huggingFaceNames } from "./huggingFace.ts"

const fusedGateUp = (name: string): TensorNames => ({
  "mlp.gate": ({ feedForward: { size } }: Architecture) => ({ name, from: 0, to: size }),
  "mlp.up": ({ feedForward: { size } }: Architecture) => ({ name, from: size, to: 2 * size })
})

/** Texts longer than the original context of a model with LongRoPE are refused: see `longRopeContext`. */
export const phi3: Family = {
  name: "phi3",
  huggingFace: {
    types: ["phi3"],
    describe: (description) => {
      const window = description.fields.size("sliding_window", limits.contextLength)
      return describeHuggingFace(description, {
        family: "phi3",
        epsilon: 1e-5,
        bias: { qkv: false, output: false },
        windows: (blocks) => new Array(blocks).fill(window)
      })
    },
    tensors: {
      ...huggingFaceNames,
      ...fusedQkv("model.layers.{}.self_attn.qkv_proj"),
      ...fusedGateUp("model.layers.{}.mlp.gate_up_proj")
    },
    ignored: huggingFaceIgnored
  },
  gguf: {
    types: ["phi3"],
    describe: (description) => describeGguf(description, { family: "phi3", rotary: "halves", fused: true }),
    tensors: { ...ggufFused, ...fusedGateUp("blk.{}.ffn_up") },
    ignored: ggufIgnored
  }
}
