/**
 * The reference models of families beyond llama as GGUF files with f32 tensors, after the names and the changes of layout
 * that llama.cpp's converter makes for each.
 * @see {@link https://github.com/ggml-org/llama.cpp/blob/master/convert_hf_to_gguf.py}
 * @module
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { openShards } from "@swarm/tensor"
import type { Architecture } from "../../src/index.ts"
import { temporaryFolder } from "./fixtures.ts"
import { ggufFile, type TensorSpec, value } from "./ggufFile.ts"

interface Tensor {
  readonly shape: ReadonlyArray<number>
  readonly values: Float32Array
}

/** What the converter does to a tensor before it writes it. */
type Change = (tensor: Tensor, a: Architecture) => Tensor

interface Conversion {
  readonly architecture: string
  readonly metadata?: (a: Architecture) => ReadonlyArray<readonly [key: string, value: Buffer]>
  readonly rules: ReadonlyArray<readonly [name: RegExp, target: string, change?: Change | undefined]>
}

const transpose: Change = ({ shape, values }) => {
  const [rows = 0, columns = 0] = shape
  if (shape.length === 1) return { shape, values }
  return {
    shape: [columns, rows],
    values: values.map((_, i) => values[(i % rows) * columns + Math.floor(i / rows)] ?? 0)
  }
}

const plusOne: Change = ({ shape, values }) => ({ shape, values: values.map((weight) => weight + 1) })

/** Rows by head of keys, [queries, key, value] in each, to all of q, all of k, all of v. */
const splitHeads: Change = ({ shape, values }, { attention: { heads, kvHeads, headDim } }) => {
  const columns = values.length / (shape[0] ?? 1)
  const queries = heads / kvHeads
  const out = new Float32Array(values.length)
  let at = 0
  for (const [from, to] of [
    [0, queries],
    [queries, queries + 1],
    [queries + 1, queries + 2]
  ] as const) {
    for (let group = 0; group < kvHeads; group++) {
      const first = (group * (queries + 2) + from) * headDim * columns
      const part = values.subarray(first, first + (to - from) * headDim * columns)
      out.set(part, at)
      at += part.length
    }
  }
  return { shape, values: out }
}

/** Halves of each head to neighbouring pairs: what llama.cpp's rotary embedding of llama reads. */
const interleave =
  (count: "heads" | "kvHeads"): Change =>
  ({ shape, values }, { attention }) => {
    const columns = values.length / (shape[0] ?? 1)
    const { headDim } = attention
    const out = new Float32Array(values.length)
    for (let head = 0; head < attention[count]; head++) {
      for (let i = 0; i < headDim; i++) {
        const from = (head * headDim + (i % 2) * (headDim / 2) + Math.floor(i / 2)) * columns
        out.set(values.subarray(from, from + columns), (head * headDim + i) * columns)
      }
    }
    return { shape, values: out }
  }

const layers = /^model\.layers\.(\d+)\./.source
const llamaRules = (pairs: boolean, norm?: Change): Conversion["rules"] => [
  [/^model\.embed_tokens/, "token_embd"],
  [/^model\.norm/, "output_norm", norm],
  [/^lm_head/, "output"],
  [new RegExp(`${layers}input_layernorm`), "blk.$1.attn_norm", norm],
  [new RegExp(`${layers}self_attn\\.q_proj`), "blk.$1.attn_q", pairs ? interleave("heads") : undefined],
  [new RegExp(`${layers}self_attn\\.k_proj`), "blk.$1.attn_k", pairs ? interleave("kvHeads") : undefined],
  [new RegExp(`${layers}self_attn\\.v_proj`), "blk.$1.attn_v"],
  [new RegExp(`${layers}self_attn\\.qkv_proj`), "blk.$1.attn_qkv"],
  [new RegExp(`${layers}self_attn\\.([qk])_norm`), "blk.$1.attn_$2_norm", norm],
  [new RegExp(`${layers}self_attn\\.o_proj`), "blk.$1.attn_output"],
  [new RegExp(`${layers}mlp\\.(gate|up|down)_proj`), "blk.$1.ffn_$2"],
  [new RegExp(`${layers}mlp\\.gate_up_proj`), "blk.$1.ffn_up"]
]
const preNorm: Conversion["rules"][number] = [new RegExp(`${layers}post_attention_layernorm`), "blk.$1.ffn_norm"]
const postNorms = (norm?: Change): Conversion["rules"] => [
  [new RegExp(`${layers}post_attention_layernorm`), "blk.$1.post_attention_norm", norm],
  [new RegExp(`${layers}pre_feedforward_layernorm`), "blk.$1.ffn_norm", norm],
  [new RegExp(`${layers}post_feedforward_layernorm`), "blk.$1.post_ffw_norm", norm]
]
const gptRules = (matrix?: Change): Conversion["rules"] => [
  [/^transformer\.wte/, "token_embd"],
  [/^transformer\.wpe/, "position_embd"],
  [/^transformer\.ln_f/, "output_norm"],
  [/^transformer\.h\.(\d+)\.ln_1/, "blk.$1.attn_norm"],
  [/^transformer\.h\.(\d+)\.ln_2/, "blk.$1.ffn_norm"],
  [/^transformer\.h\.(\d+)\.attn\.c_attn/, "blk.$1.attn_qkv", matrix],
  [/^transformer\.h\.(\d+)\.attn\.c_proj/, "blk.$1.attn_output", matrix],
  [/^transformer\.h\.(\d+)\.mlp\.c_fc/, "blk.$1.ffn_up", matrix],
  [/^transformer\.h\.(\d+)\.mlp\.c_proj/, "blk.$1.ffn_down", matrix]
]
const wideRules: Conversion["rules"] = [
  [/^(?:transformer\.word_embeddings|gpt_neox\.embed_in)\./, "token_embd."],
  [/^transformer\.word_embeddings_layernorm/, "token_embd_norm"],
  [/^(?:transformer\.ln_f|gpt_neox\.final_layer_norm)/, "output_norm"],
  [/^embed_out/, "output"],
  [/^(?:transformer\.h|gpt_neox\.layers)\.(\d+)\.(?:input_layernorm|ln_mlp)/, "blk.$1.attn_norm"],
  [/^transformer\.h\.(\d+)\.ln_attn/, "blk.$1.attn_norm_2"],
  [/^(?:transformer\.h|gpt_neox\.layers)\.(\d+)\.post_attention_layernorm/, "blk.$1.ffn_norm"],
  [/^(?:transformer\.h|gpt_neox\.layers)\.(\d+)\.(?:self_)?attention\.query_key_value/, "blk.$1.attn_qkv", splitHeads],
  [/^(?:transformer\.h|gpt_neox\.layers)\.(\d+)\.(?:self_)?attention\.dense/, "blk.$1.attn_output"],
  [/^(?:transformer\.h|gpt_neox\.layers)\.(\d+)\.mlp\.dense_h_to_4h/, "blk.$1.ffn_up"],
  [/^(?:transformer\.h|gpt_neox\.layers)\.(\d+)\.mlp\.dense_4h_to_h/, "blk.$1.ffn_down"]
]
/** Experts are stacked: `#` in a name is the expert's number until then. */
const expertRules: Conversion["rules"] = [
  [new RegExp(`${layers}(?:block_sparse_moe|mlp)\\.gate\\.`), "blk.$1.ffn_gate_inp."],
  [new RegExp(`${layers}block_sparse_moe\\.experts\\.(\\d+)\\.w1`), "blk.$1.ffn_gate_exps#$2"],
  [new RegExp(`${layers}block_sparse_moe\\.experts\\.(\\d+)\\.w2`), "blk.$1.ffn_down_exps#$2"],
  [new RegExp(`${layers}block_sparse_moe\\.experts\\.(\\d+)\\.w3`), "blk.$1.ffn_up_exps#$2"],
  [new RegExp(`${layers}mlp\\.experts\\.(\\d+)\\.(gate|up|down)_proj`), "blk.$1.ffn_$3_exps#$2"],
  [new RegExp(`${layers}mlp\\.shared_expert\\.(gate|up|down)_proj`), "blk.$1.ffn_$2_shexp"],
  [
    new RegExp(`${layers}mlp\\.shared_expert_gate`),
    "blk.$1.ffn_gate_inp_shexp",
    ({ values }) => ({ shape: [values.length], values })
  ]
]

const experts = ({ feedForward: { experts: mixture } }: Architecture, kind: string) => [
  [`${kind}.expert_count`, value.u32(mixture?.count ?? 0)] as const,
  [`${kind}.expert_used_count`, value.u32(mixture?.perToken ?? 0)] as const,
  [`${kind}.expert_feed_forward_length`, value.u32(mixture?.size ?? 0)] as const
]

/** Its file cannot say that one block of three is without a window, as the reference model has it. */
export const gemma3: Conversion = {
  architecture: "gemma3",
  metadata: (a) => [
    ["gemma3.attention.sliding_window", value.u32(a.layers[0]?.window ?? 0)],
    ["gemma3.rope.scaling.type", value.string("linear")],
    ["gemma3.rope.scaling.factor", value.f32(8)]
  ],
  rules: [...llamaRules(false, plusOne), ...postNorms(plusOne)]
}

/** By the name of the reference model. */
export const conversions: Readonly<Record<string, Conversion>> = {
  olmo2: { architecture: "olmo2", rules: [...llamaRules(false), ...postNorms()] },
  granite: {
    architecture: "granite",
    metadata: (a) => [
      ["granite.attention.scale", value.f32(a.attention.scale)],
      ["granite.embedding_scale", value.f32(a.embeddingScale ?? 1)],
      ["granite.residual_scale", value.f32(a.residualScale ?? 1)],
      ["granite.logit_scale", value.f32(1 / (a.logitScale ?? 1))]
    ],
    rules: [...llamaRules(true), preNorm]
  },
  phi3: { architecture: "phi3", rules: [...llamaRules(false), preNorm] },
  gemma2: {
    architecture: "gemma2",
    metadata: (a) => [
      ["gemma2.attn_logit_softcapping", value.f32(a.attention.softCap ?? 0)],
      ["gemma2.final_logit_softcapping", value.f32(a.logitSoftCap ?? 0)],
      ["gemma2.attention.sliding_window", value.u32(a.layers[0]?.window ?? 0)]
    ],
    rules: [...llamaRules(false, plusOne), ...postNorms(plusOne)]
  },
  gpt2: { architecture: "gpt2", rules: gptRules(transpose) },
  "gpt-bigcode": { architecture: "starcoder", rules: gptRules() },
  "gpt-neox": {
    architecture: "gptneox",
    metadata: (a) => [
      ["gptneox.rope.dimension_count", value.u32(a.rotaries[0]?.dims ?? 0)],
      ["gptneox.use_parallel_residual", value.bool(true)]
    ],
    rules: wideRules
  },
  "falcon-7b": { architecture: "falcon", rules: wideRules },
  "falcon-40b": { architecture: "falcon", rules: wideRules },
  bloom: { architecture: "bloom", rules: wideRules },
  mixtral: {
    architecture: "llama",
    metadata: (a) => experts(a, "llama").slice(0, 2),
    rules: [...llamaRules(true), preNorm, ...expertRules]
  },
  "qwen2-moe": {
    architecture: "qwen2moe",
    metadata: (a) => [
      ...experts(a, "qwen2moe"),
      ["qwen2moe.expert_shared_feed_forward_length", value.u32(a.feedForward.experts?.shared?.size ?? 0)]
    ],
    rules: [...llamaRules(false), preNorm, ...expertRules]
  }
}

/** Writes the model in `folder` as GGUF. Returns the path of the file. */
export const convertFamily = (
  folder: string,
  a: Architecture,
  { architecture, metadata, rules }: Conversion
): string => {
  const source = openShards(folder)
  const converted = new Map<string, Tensor>()
  for (const [name, { shape }] of source.tensors) {
    const rule = rules.find(([pattern]) => pattern.test(name))
    if (rule === undefined) throw new Error(`no rule for ${name}`)
    const [pattern, target, change = (tensor: Tensor) => tensor] = rule
    const [stem = "", expert] = name.replace(pattern, target).split("#")
    const tensor = change({ shape, values: source.readFloat32(name) }, a)
    if (expert === undefined) converted.set(stem, tensor)
    else {
      const before = converted.get(`${stem}.weight`)?.values ?? new Float32Array(0)
      const values = Float32Array.from([...before, ...tensor.values])
      converted.set(`${stem}.weight`, { shape: [values.length / tensor.values.length, ...tensor.shape], values })
    }
  }
  const tensors: Array<TensorSpec> = []
  const parts: Array<Buffer> = []
  let offset = 0
  for (const [name, { shape, values }] of converted) {
    const bytes = Buffer.from(values.buffer, values.byteOffset, values.byteLength)
    const padded = Buffer.concat([bytes, Buffer.alloc((32 - (bytes.length % 32)) % 32)])
    tensors.push({ name, dims: [...shape].reverse(), offset })
    parts.push(padded)
    offset += padded.length
  }
  const epsilon = a.norm.kind === "layer" ? "layer_norm_epsilon" : "layer_norm_rms_epsilon"
  const key = (name: string) => `${architecture}.${name}`
  const file = path.join(temporaryFolder(), "model.gguf")
  const fields = [
    ["general.architecture", value.string(architecture)] as const,
    [key("block_count"), value.u32(a.blocks)] as const,
    [key("context_length"), value.u32(a.contextLength)] as const,
    [key("embedding_length"), value.u32(a.hiddenSize)] as const,
    [key("feed_forward_length"), value.u32(a.feedForward.size)] as const,
    [key("attention.head_count"), value.u32(a.attention.heads)] as const,
    [key("attention.head_count_kv"), value.u32(a.attention.kvHeads)] as const,
    [key(`attention.${epsilon}`), value.f32(a.norm.epsilon)] as const,
    [key("rope.freq_base"), value.f32(a.rotaries[0]?.base ?? 10000)] as const,
    ...(metadata?.(a) ?? [])
  ]
  fs.writeFileSync(file, ggufFile({ metadata: fields, tensors, data: Buffer.concat(parts) }))
  return file
}
