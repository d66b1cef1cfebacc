/**
 * Reference models as GGUF files with f32 tensors, in the way that converters write them.
 * @module
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { openShards } from "@swarm/tensor"
import type { Architecture } from "../../src/index.ts"
import { temporaryFolder } from "./fixtures.ts"
import { ggufFile, type TensorSpec, value } from "./ggufFile.ts"

type Metadata = ReadonlyArray<readonly [key: string, value: Buffer]>

const names: ReadonlyArray<readonly [RegExp, string]> = [
  [/^model\.embed_tokens/, "token_embd"],
  [/^model\.norm/, "output_norm"],
  [/^lm_head/, "output"],
  [/^model\.layers\.(\d+)\.input_layernorm/, "blk.$1.attn_norm"],
  [/^model\.layers\.(\d+)\.post_attention_layernorm/, "blk.$1.ffn_norm"],
  [/^model\.layers\.(\d+)\.self_attn\.([qkv])_proj/, "blk.$1.attn_$2"],
  [/^model\.layers\.(\d+)\.self_attn\.([qk])_norm/, "blk.$1.attn_$2_norm"],
  [/^model\.layers\.(\d+)\.self_attn\.o_proj/, "blk.$1.attn_output"],
  [/^model\.layers\.(\d+)\.mlp\.(gate|up|down)_proj/, "blk.$1.ffn_$2"]
]

/** (heads, 2, dim / 2, columns) to (heads, dim / 2, 2, columns): rows that turn together become neighbours. */
const interleave = (values: Float32Array, heads: number, headDim: number): Float32Array => {
  const columns = values.length / heads / headDim
  const out = new Float32Array(values.length)
  const row = (head: number, dimension: number) => (head * headDim + dimension) * columns
  for (let head = 0; head < heads; head++) {
    for (let i = 0; i < headDim; i++) {
      const from = row(head, (i % 2) * (headDim / 2) + Math.floor(i / 2))
      out.set(values.subarray(from, from + columns), row(head, i))
    }
  }
  return out
}

/** Writes the model in `folder` as a GGUF file of `type`; llama's q and k are interleaved. Returns its path. */
export const toGguf = (
  folder: string,
  a: Architecture,
  type: string,
  extra: Metadata = [],
  factors?: ReadonlyArray<number>
): string => {
  const source = openShards(folder)
  const { heads, kvHeads, headDim } = a.attention
  const tensors: Array<TensorSpec> = []
  const parts: Array<Buffer> = []
  let offset = 0
  const add = (name: string, shape: ReadonlyArray<number>, values: Float32Array) => {
    const bytes = Buffer.from(values.buffer, values.byteOffset, values.byteLength)
    const padded = Buffer.concat([bytes, Buffer.alloc((32 - (bytes.length % 32)) % 32)])
    tensors.push({ name, dims: [...shape].reverse(), offset })
    parts.push(padded)
    offset += padded.length
  }
  for (const [name, { shape }] of source.tensors) {
    const [pattern = /^$/, target = ""] = names.find(([candidate]) => candidate.test(name)) ?? []
    const [, kind] = /self_attn\.([qk])_proj/.exec(name) ?? []
    const values = source.readFloat32(name)
    const turned =
      type === "llama" && kind !== undefined ? interleave(values, kind === "q" ? heads : kvHeads, headDim) : values
    add(name.replace(pattern, target), shape, turned)
  }
  if (factors !== undefined) add("rope_freqs.weight", [factors.length], Float32Array.from(factors))
  const metadata: Metadata = [
    ["general.architecture", value.string(type)],
    [`${type}.block_count`, value.u32(a.blocks)],
    [`${type}.context_length`, value.u32(a.contextLength)],
    [`${type}.embedding_length`, value.u32(a.hiddenSize)],
    [`${type}.feed_forward_length`, value.u32(a.feedForward.size)],
    [`${type}.attention.head_count`, value.u32(heads)],
    [`${type}.attention.head_count_kv`, value.u32(kvHeads)],
    [`${type}.attention.key_length`, value.u32(headDim)],
    [`${type}.attention.layer_norm_rms_epsilon`, value.f32(a.norm.epsilon)],
    [`${type}.rope.freq_base`, value.f32(a.rotaries[0]?.base ?? 10000)],
    ...extra
  ]
  const file = path.join(temporaryFolder(), "model.gguf")
  fs.writeFileSync(file, ggufFile({ metadata, tensors, data: Buffer.concat(parts) }))
  return file
}
