/**
 * One linear layer in every weight format that checkpoints come in, with random weights, as a checkpoint holds it.
 * @module
 */
import { blockBytes, blockTypes, type GroupedWeights, gptqTensors, nf4Values } from "@swarm/quant"
import { type ElementType, elementBytes, encodeFloats } from "@swarm/tensor"
import { type Checkpoint, type CheckpointTensor, type Slice, slice } from "../../packages/model/src/Checkpoint.ts"
import { Fields } from "../../packages/model/src/Fields.ts"
import type { LinearOptions } from "../../packages/model/src/Linear.ts"
import { decodeCheckpoint } from "../../packages/model/src/quantized/decodeCheckpoint.ts"
import { ggufMatrix } from "../../packages/model/src/StoredMatrix.ts"

/** A format: how to make the layer (N, K), and what to ask of the span that holds it. */
export interface Format {
  readonly name: string
  readonly make: () => Slice
  readonly options?: Partial<LinearOptions>
  /** The same bytes for ggml, if it has this format. */
  readonly ggml?: { readonly type: number; readonly bytes: () => Uint8Array }
}

/** Inputs that share a scale in the formats where that is chosen. */
const GROUP = 128

type Tensors = Readonly<
  Record<string, { readonly type: ElementType; readonly shape: ReadonlyArray<number>; readonly data: ArrayBufferView }>
>

/** Pseudo-random 32-bit words: a linear congruential generator, of which the upper half is used twice. */
const words = (count: number, seed = 1): Uint32Array => {
  const out = new Uint32Array(count)
  let state = seed
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    out[i] = (state ^ (state >>> 16)) >>> 0
  }
  return out
}

/** Values in -0.02 to 0.02, as trained weights have them. */
const floats = (count: number, seed = 1): Float32Array =>
  Float32Array.from(words(count, seed), (word) => (word / 2 ** 32 - 0.5) / 25)

const scales = (count: number): Float32Array => floats(count, 3).map((value) => 0.002 + Math.abs(value) / 10)

const checkpointOf = (tensors: Tensors): Checkpoint => {
  const held = new Map<string, CheckpointTensor>()
  for (const [name, { type, shape, data }] of Object.entries(tensors)) {
    held.set(name, { name, type, shape, bytes: data.byteLength })
  }
  const read = (name: string, offset: number, length: number) => {
    const data = tensors[name]?.data ?? new Uint8Array()
    // a copy, as a read from disk is one
    return new Uint8Array(data.buffer, data.byteOffset + offset, length).slice()
  }
  return { path: "random", tensors: held, read }
}

const weightOf = (checkpoint: Checkpoint): Slice => {
  const tensor = checkpoint.tensors.get("layer.weight")
  if (tensor === undefined) throw new Error('There is no tensor "layer.weight"')
  return slice(checkpoint, tensor)
}

const quantized = (config: object, tensors: Tensors): Slice =>
  weightOf(decodeCheckpoint(checkpointOf(tensors), Fields.of("random", config)))

const gptq = (bits: GroupedWeights["bits"], N: number, K: number, ordered: boolean): Slice => {
  const groups = K / GROUP
  const mask = 2 ** bits - 1
  // input k * 1031 mod K is the k-th in the order of groups: 1031 is prime
  const groupIndex = new Int32Array(K)
  for (let k = 0; k < K; k++) groupIndex[ordered ? (k * 1031) % K : k] = Math.floor(k / GROUP)
  const layer: GroupedWeights = {
    bits,
    inFeatures: K,
    outFeatures: N,
    groupSize: GROUP,
    codes: Uint8Array.from(words(N * K), (word) => (word >>> 13) & mask),
    scales: Float64Array.from(scales(groups * N)),
    zeros: new Uint8Array(groups * N).fill(2 ** (bits - 1)),
    groupIndex
  }
  const tensors = gptqTensors(layer)
  return quantized(
    { quant_method: "gptq", bits, group_size: GROUP, sym: true, desc_act: ordered },
    {
      "layer.qweight": { type: "i32", shape: [(K * bits) / 32, N], data: tensors.qweight },
      "layer.qzeros": { type: "i32", shape: [groups, (N * bits) / 32], data: tensors.qzeros },
      "layer.scales": { type: "f16", shape: [groups, N], data: tensors.scales },
      "layer.g_idx": { type: "i32", shape: [K], data: tensors.groupIndex }
    }
  )
}

const awq = (N: number, K: number): Slice =>
  quantized(
    { quant_method: "awq", bits: 4, group_size: GROUP, zero_point: true, version: "gemm" },
    {
      "layer.qweight": { type: "i32", shape: [K, N / 8], data: new Int32Array(words((K * N) / 8).buffer) },
      "layer.qzeros": {
        type: "i32",
        shape: [K / GROUP, N / 8],
        data: new Int32Array(words((K * N) / 8 / GROUP).buffer)
      },
      "layer.scales": { type: "f16", shape: [K / GROUP, N], data: encodeFloats("f16", scales((K / GROUP) * N)) }
    }
  )

/** The magnitudes of bitsandbytes' FP4, by code. */
const FP4 = [0, 1 / 192, 2 / 3, 1, 1 / 3, 1 / 2, 1 / 6, 1 / 4]
const tables = { nf4: nf4Values, fp4: Float32Array.from([...FP4, ...FP4.map((value) => -value)]) }

const bitsandbytes = (kind: "nf4" | "fp4", N: number, K: number): Slice => {
  const BLOCK = 64
  const state = { quant_type: kind, blocksize: BLOCK, dtype: "float16", shape: [N, K] }
  const json = new TextEncoder().encode(JSON.stringify(state))
  return quantized(
    { quant_method: "bitsandbytes", load_in_4bit: true, bnb_4bit_quant_type: kind },
    {
      "layer.weight": { type: "u8", shape: [(N * K) / 2, 1], data: words((N * K) / 8) },
      "layer.weight.absmax": { type: "f32", shape: [(N * K) / BLOCK], data: scales((N * K) / BLOCK) },
      "layer.weight.quant_map": { type: "f32", shape: [16], data: tables[kind] },
      [`layer.weight.quant_state.bitsandbytes__${kind}`]: { type: "u8", shape: [json.length], data: json }
    }
  )
}

const int8Rows = (N: number, K: number): Slice =>
  quantized(
    { quant_method: "bitsandbytes", load_in_8bit: true },
    {
      "layer.weight": { type: "i8", shape: [N, K], data: words((N * K) / 4) },
      "layer.SCB": { type: "f32", shape: [N], data: scales(N) }
    }
  )

const float8 = (N: number, K: number): Slice => {
  // the code with all bits but the sign set is no number
  const codes = new Uint8Array(words((N * K) / 4).buffer).map((code) => ((code & 0x7f) === 0x7f ? code ^ 1 : code))
  const blocks = (N / GROUP) * (K / GROUP)
  return quantized(
    { quant_method: "fp8", weight_block_size: [GROUP, GROUP] },
    {
      "layer.weight": { type: "f8e4m3", shape: [N, K], data: codes },
      "layer.weight_scale_inv": { type: "f32", shape: [N / GROUP, K / GROUP], data: scales(blocks) }
    }
  )
}

const plain = (type: "f32" | "f16" | "bf16", N: number, K: number): Slice => {
  const values = floats(N * K)
  const data = type === "f32" ? values : encodeFloats(type, values)
  if (data.byteLength !== N * K * elementBytes(type)) throw new RangeError(`${type} is of another size`)
  return weightOf(checkpointOf({ "layer.weight": { type, shape: [N, K], data } }))
}

/** Blocks of a GGUF file. Bytes under 0x40 keep every f16 scale finite. */
const ggufBytes = (type: Parameters<typeof blockBytes>[0], N: number, K: number): Uint8Array =>
  new Uint8Array(words(blockBytes(type, N * K) / 4 + 1).buffer, 0, blockBytes(type, N * K)).map((byte) => byte & 0x3f)

const gguf = (type: Parameters<typeof ggufMatrix>[0], N: number, K: number): Slice => {
  const bytes = ggufBytes(type, N, K)
  const row = blockBytes(type, K)
  const matrix = ggufMatrix(type, K, (from, to) => bytes.subarray(from * row, to * row))
  const tensor = { name: "layer.weight", type, shape: [N, K], bytes: bytes.length, matrix }
  return slice({ path: "random", tensors: new Map([[tensor.name, tensor]]), read: () => bytes }, tensor)
}

/** Every format, for a layer of N outputs and K inputs, multiples of 256. */
export const formats = (N: number, K: number): ReadonlyArray<Format> => [
  ...([32, 64, 128] as const).map((group) => ({
    name: `q4 in groups of ${group}`,
    make: () => plain("f32", N, K),
    options: { weights: "q4" as const, group }
  })),
  { name: "q8 in groups of 32", make: () => plain("f32", N, K), options: { weights: "q8", group: 32 } },
  ...([4, 8, 3, 2] as const).flatMap((bits) => [
    { name: `GPTQ, ${bits} bits`, make: () => gptq(bits, N, K, false) },
    { name: `GPTQ, ${bits} bits, act-order`, make: () => gptq(bits, N, K, true) }
  ]),
  { name: "AWQ", make: () => awq(N, K) },
  { name: "NF4", make: () => bitsandbytes("nf4", N, K) },
  { name: "FP4", make: () => bitsandbytes("fp4", N, K) },
  { name: "LLM.int8", make: () => int8Rows(N, K) },
  { name: "FP8", make: () => float8(N, K) },
  ...[...blockTypes.values()].map(({ type, id }): Format => {
    if (type !== "F32" && type !== "F16" && type !== "BF16") {
      return { name: type, make: () => gguf(type, N, K), ggml: { type: id, bytes: () => ggufBytes(type, N, K) } }
    }
    const element = type === "F32" ? "f32" : type === "F16" ? "f16" : "bf16"
    const bytes = () => plain(element, N, K).checkpoint.read("layer.weight", 0, blockBytes(type, N * K))
    return { name: type, make: () => plain(element, N, K), ggml: { type: id, bytes } }
  })
]
