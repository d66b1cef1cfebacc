/**
 * A Llama GGUF file as a GPTQ checkpoint with act-order groups, codes rounded to nearest.
 * @module
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { type Architecture, ggufCheckpoint, openGguf, readFloats, slice } from "@swarm/model"
import { encodeFloats, writeSafetensors } from "@swarm/tensor"
import { packCodes } from "@swarm/tp-kernels"

const NAMES: Readonly<Record<string, string>> = {
  attn_q: "self_attn.q_proj",
  attn_k: "self_attn.k_proj",
  attn_v: "self_attn.v_proj",
  attn_output: "self_attn.o_proj",
  ffn_gate: "mlp.gate_proj",
  ffn_up: "mlp.up_proj",
  ffn_down: "mlp.down_proj"
}
/** Layers with one input have one order. */
const SHARED: ReadonlyArray<ReadonlyArray<string>> = [
  ["attn_q", "attn_k", "attn_v"],
  ["attn_output"],
  ["ffn_gate", "ffn_up"],
  ["ffn_down"]
]

type Entry = Parameters<typeof writeSafetensors>[1] extends Iterable<infer E> ? E : never

/** Writes `config.json` and `model.safetensors` to `folder`: 4 bits, symmetric, groups of `groupSize` inputs. */
export const gptqOf = (file: string, a: Architecture, folder: string, groupSize: number): void => {
  const checkpoint = ggufCheckpoint(openGguf(file))
  const { heads, kvHeads, headDim } = a.attention
  const read = (name: string): Float32Array => {
    const tensor = checkpoint.tensors.get(name)
    if (tensor === undefined) throw new Error(`no tensor "${name}"`)
    return readFloats(slice(checkpoint, tensor))
  }
  const entries: Array<Entry> = []
  const plain = (name: string, shape: ReadonlyArray<number>, values: Float32Array) =>
    entries.push({ name, type: "f16", shape, data: encodeFloats("f16", values) })
  plain("model.embed_tokens.weight", [a.vocabSize, a.hiddenSize], read("token_embd.weight"))
  plain("model.norm.weight", [a.hiddenSize], read("output_norm.weight"))
  for (let block = 0; block < a.blocks; block++) {
    const target = (name: string) => `model.layers.${block}.${name}`
    plain(target("input_layernorm.weight"), [a.hiddenSize], read(`blk.${block}.attn_norm.weight`))
    plain(target("post_attention_layernorm.weight"), [a.hiddenSize], read(`blk.${block}.ffn_norm.weight`))
    for (const names of SHARED) {
      const matrices = names.map((name) => {
        const values = read(`blk.${block}.${name}.weight`)
        const count = name === "attn_q" ? heads : name === "attn_k" ? kvHeads : 0
        return count === 0 ? values : separate(values, count, headDim)
      })
      const inputs =
        names[0] === "ffn_down" ? a.feedForward.size : names[0] === "attn_output" ? heads * headDim : a.hiddenSize
      const index = actOrder(matrices, inputs, groupSize)
      names.forEach((name, i) => {
        for (const [part, entry] of Object.entries(
          layerOf(matrices[i] ?? new Float32Array(), inputs, groupSize, index)
        ))
          entries.push({ ...entry, name: `${target(NAMES[name] ?? "")}.${part}` })
      })
    }
  }
  writeSafetensors(path.join(folder, "model.safetensors"), entries)
  const config = {
    model_type: "llama",
    hidden_size: a.hiddenSize,
    intermediate_size: a.feedForward.size,
    num_hidden_layers: a.blocks,
    num_attention_heads: heads,
    num_key_value_heads: kvHeads,
    head_dim: headDim,
    vocab_size: a.vocabSize,
    max_position_embeddings: a.contextLength,
    rms_norm_eps: a.norm.epsilon,
    rope_theta: a.rotaries[0]?.base,
    tie_word_embeddings: a.tiedEmbeddings,
    quantization_config: { quant_method: "gptq", bits: 4, group_size: groupSize, desc_act: true, sym: true }
  }
  fs.writeFileSync(path.join(folder, "config.json"), JSON.stringify(config))
}

/** Rows of each head from neighbours that turn together, as in GGUF, to halves. */
const separate = (values: Float32Array, heads: number, headDim: number): Float32Array => {
  const columns = values.length / heads / headDim
  const out = new Float32Array(values.length)
  for (let row = 0; row < heads * headDim; row++) {
    const [head, i] = [Math.floor(row / headDim), row % headDim]
    const to = head * headDim + (i % 2) * (headDim / 2) + Math.floor(i / 2)
    out.set(values.subarray(row * columns, (row + 1) * columns), to * columns)
  }
  return out
}

/** The group of each input: those with the greatest weights come first. */
const actOrder = (matrices: ReadonlyArray<Float32Array>, inputs: number, groupSize: number): Int32Array => {
  const size = new Float64Array(inputs)
  for (const values of matrices)
    values.forEach((value, i) => {
      size[i % inputs] = (size[i % inputs] ?? 0) + value * value
    })
  const order = Array.from(size.keys()).sort((x, y) => (size[y] ?? 0) - (size[x] ?? 0))
  const groups = new Int32Array(inputs)
  order.forEach((input, at) => {
    groups[input] = Math.floor(at / groupSize)
  })
  return groups
}

/** W (N, K) as the four tensors of a layer. */
const layerOf = (w: Float32Array, K: number, groupSize: number, groups: Int32Array) => {
  const N = w.length / K
  const count = Math.ceil(K / groupSize)
  const scales = new Float32Array(count * N)
  w.forEach((value, i) => {
    const at = (groups[i % K] ?? 0) * N + Math.floor(i / K)
    scales[at] = Math.max(scales[at] ?? 0, Math.abs(value) / 7)
  })
  const rounded = encodeFloats("f16", scales)
  const codes = new Uint8Array(K * N)
  w.forEach((value, i) => {
    const [n, k] = [Math.floor(i / K), i % K]
    const scale = scales[(groups[k] ?? 0) * N + n] || 1
    codes[k * N + n] = Math.max(0, Math.min(15, Math.round(value / scale) + 8))
  })
  const words = packCodes(codes, K, N, 4)
  return {
    qweight: { type: "i32", shape: [K / 8, N], data: new Int32Array(words.buffer) },
    // the first version of the format stores zero points minus one
    qzeros: { type: "i32", shape: [count, N / 8], data: new Int32Array(count * (N / 8)).fill(0x7777_7777) },
    scales: { type: "f16", shape: [count, N], data: rounded },
    g_idx: { type: "i32", shape: [K], data: groups }
  } as const
}
