/**
 * Gemma 3 for text: Gemma 2 with norms of q and k instead of caps, and a rotary embedding for each kind of block.
 * @see {@link https://arxiv.org/abs/2503.19786} section 2
 * @module
 */
import type { Architecture } from "../Architecture.ts"
import type { Description, Family } from "../Family.ts"
import type { Fields } from "../Fields.ts"
import { describeGemma, describeGgufGemma, gemmaNames, ggufGemmaNames } from "./gemma2.ts"
import { ggufIgnored } from "./gguf.ts"
import { huggingFaceIgnored } from "./huggingFace.ts"
import { huggingFaceRotary } from "./huggingFaceRotary.ts"

const PATTERN = 6
const LOCAL_BASE = 1e4

const describe = (description: Description) => {
  const { fields } = description
  const pattern = fields.size("sliding_window_pattern", 4096) ?? fields.size("_sliding_window_pattern", 4096) ?? PATTERN
  const plain = describeGemma(description, "gemma3", (block) => (block + 1) % pattern !== 0, {
    qkNorm: "head",
    rotary: "none"
  })
  const kinds = fields.record("rope_parameters")
  const rotary = (kind: string, rope: Fields | "none", key: string, base: number) =>
    huggingFaceRotary(fields, plain.attention.headDim, plain.contextLength, {
      keys: { base: key, part: "partial_rotary_factor" },
      base,
      rope: kinds?.record(kind) ?? rope
    })
  // the scaling of an old configuration is that of the blocks without a window
  const whole = rotary("full_attention", fields.record("rope_scaling") ?? "none", "rope_theta", 1e6)
  const local = rotary("sliding_attention", "none", "rope_local_base_freq", LOCAL_BASE)
  return {
    ...plain,
    rotaries: [whole, local],
    layers: plain.layers.map((layer) => ({ ...layer, rotary: layer.window === undefined ? 0 : 1 }))
  }
}

/** GGUF files do not say the base of blocks with windows, nor which these are. */
const describeFile = (description: Description): Architecture => {
  const sliding = (block: number) => (block + 1) % PATTERN !== 0
  const base = describeGgufGemma(description, { family: "gemma3", rotary: "halves", qkNorm: "head", sliding })
  const [whole] = base.rotaries
  const local = { base: LOCAL_BASE, dims: base.attention.headDim, interleaved: false }
  return {
    ...base,
    rotaries: whole === undefined ? [] : [whole, local],
    layers: base.layers.map((layer, block) => ({ ...layer, rotary: sliding(block) ? 1 : 0 }))
  }
}

/** Five blocks with windows, then one without, unless the configuration says otherwise. */
export const gemma3: Family = {
  name: "gemma3",
  huggingFace: { types: ["gemma3_text"], describe, tensors: gemmaNames, ignored: huggingFaceIgnored },
  gguf: { types: ["gemma3"], describe: describeFile, tensors: ggufGemmaNames, ignored: ggufIgnored }
}
