/**
 * GPT-BigCode (SantaCoder, StarCoder, Granite 20B Code): GPT-2 with one head of keys and values.
 * @see {@link https://arxiv.org/abs/2305.06161} section 4
 * @module
 */
import type { Architecture } from "../Architecture.ts"
import type { Family } from "../Family.ts"
import { fusedQkv, fusedQkvByHead } from "./fused.ts"
import { describeGgufGpt, describeGpt, ggufGptNames, gptIgnored, gptNames } from "./gpt2.ts"

const matrix = "transformer.h.{}.attn.c_attn"
const shared = fusedQkv(matrix)
const byHead = fusedQkvByHead(matrix)

/** q, k, v one after the other where keys are shared, head by head where they are not. */
const queries = (a: Architecture) => (a.attention.kvHeads === 1 ? shared : byHead)

/** The matrices are stored in the usual way. */
export const gptBigcode: Family = {
  name: "gpt_bigcode",
  huggingFace: {
    types: ["gpt_bigcode"],
    describe: (description) => {
      const shares = description.fields.boolean("multi_query") ?? true
      return describeGpt(description, { family: "gpt_bigcode", kvHeads: (heads) => (shares ? 1 : heads) })
    },
    tensors: {
      ...gptNames,
      "attn.q": (a) => queries(a)["attn.q"](a),
      "attn.k": (a) => queries(a)["attn.k"](a),
      "attn.v": (a) => queries(a)["attn.v"](a),
      "attn.output": "transformer.h.{}.attn.c_proj",
      "mlp.up": "transformer.h.{}.mlp.c_fc",
      "mlp.down": "transformer.h.{}.mlp.c_proj"
    },
    optionalPrefix: "transformer.",
    ignored: gptIgnored
  },
  gguf: {
    types: ["starcoder"],
    describe: (description) => describeGgufGpt(description, "gpt_bigcode"),
    tensors: ggufGptNames
  }
}
