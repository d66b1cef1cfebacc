/**
 * Graphs that the compliance suite runs, and what they must give.
 * @module
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { type ExternalData, type GraphBuilder, graph } from "@swarm/onnx"
import { type ElementType, viewBytes } from "@swarm/tensor"

/** y = x + 1 over f32 (rows, 4). */
export const addOne = (): Uint8Array => {
  const g = graph()
  const x = g.input("x", "f32", ["rows", 4])
  const one = g.constant("one", "f32", [], Float32Array.of(1))
  g.output(g.node("Add", [x, one], { name: "y" }), "f32", ["rows", 4])
  return g.bytes()
}

/** y = x multiplied `times` times by a rotation of `size` coordinates, f32 (size, size): long work, values stay in range. */
export const longWork = (size: number, times: number): Uint8Array => {
  const g = graph()
  const x = g.input("x", "f32", [size, size])
  const turn = new Float32Array(size * size)
  for (let i = 0; i < size; i++) turn[i * size + ((i + 1) % size)] = 1
  const matrix = g.constant("turn", "f32", [size, size], turn)
  let y = x
  for (let i = 0; i < times; i++) y = g.node("MatMul", [y, matrix])
  g.output(g.node("Identity", [y], { name: "y" }), "f32", [size, size])
  return g.bytes()
}

/** y = x + weights, which lie outside. */
export const addExternal = (data: ExternalData): Uint8Array => {
  const g = graph()
  const x = g.input("x", "f32", [4])
  const weights = g.external("weights", "f32", [4], data)
  g.output(g.node("Add", [x, weights], { name: "y" }), "f32", [4])
  return g.bytes()
}

/** Extents of the attention graph. */
export const attentionShape = { heads: 4, kvHeads: 2, headDim: 8, capacity: 16 } as const

/** GroupQueryAttention over caches of fixed capacity, without rotary embedding. */
export const attention = (): Uint8Array => {
  const { capacity, headDim, heads, kvHeads } = attentionShape
  const g = graph()
  const q = g.input("q", "f32", [1, "tokens", heads * headDim])
  const k = g.input("k", "f32", [1, "tokens", kvHeads * headDim])
  const v = g.input("v", "f32", [1, "tokens", kvHeads * headDim])
  const cache = [1, kvHeads, capacity, headDim]
  const pastK = g.input("past_k", "f32", cache)
  const pastV = g.input("past_v", "f32", cache)
  const last = g.input("last", "i32", [1])
  const total = g.input("total", "i32", [1])
  g.nodes("GroupQueryAttention", [q, k, v, pastK, pastV, last, total], ["y", "present_k", "present_v"], {
    domain: "com.microsoft",
    attributes: { num_heads: { i: heads }, kv_num_heads: { i: kvHeads } }
  })
  g.output("y", "f32", [1, "tokens", heads * headDim])
  g.output("present_k", "f32", cache)
  g.output("present_v", "f32", cache)
  return g.bytes()
}

/** What {@link attention} must give for all tokens at once: softmax(q · k / √headDim) · v over the tokens before each. */
export const attentionReference = (q: Float32Array, k: Float32Array, v: Float32Array, tokens: number): Float32Array => {
  const { headDim, heads, kvHeads } = attentionShape
  const y = new Float32Array(tokens * heads * headDim)
  for (let t = 0; t < tokens; t++) {
    for (let h = 0; h < heads; h++) {
      const kv = Math.floor((h * kvHeads) / heads) * headDim
      const at = (t * heads + h) * headDim
      const weights: Array<number> = []
      for (let s = 0; s <= t; s++) {
        let dot = 0
        for (let i = 0; i < headDim; i++) dot += q[at + i]! * k[s * kvHeads * headDim + kv + i]!
        weights.push(Math.exp(dot / Math.sqrt(headDim)))
      }
      const sum = weights.reduce((a, b) => a + b, 0)
      for (let i = 0; i < headDim; i++) {
        let value = 0
        for (let s = 0; s <= t; s++) value += (weights[s]! / sum) * v[s * kvHeads * headDim + kv + i]!
        y[at + i] = value
      }
    }
  }
  return y
}

/** A fixed sequence of values in [-1, 1). */
export const noise = (length: number, seed: number): Float32Array => {
  let state = seed
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 31 - 1
  })
}

/** Extents of the linear layers of the packing graphs. */
export const linearShape = { inputs: 64, outputs: 96, block: 32 } as const

type Locate = (name: string, type: ElementType, shape: ReadonlyArray<number>, data: () => ArrayBufferView) => string

const linear = (g: GraphBuilder, locate: Locate, x: string, bits: 4 | 8): string => {
  const { block, inputs: K, outputs: N } = linearShape
  const blocks = K / block
  const bytes = (block * bits) / 8
  const codes = locate(`codes${bits}`, "u8", [N, blocks, bytes], () =>
    Uint8Array.from(noise(N * blocks * bytes, bits), (value) => Math.floor((value + 1) * 128))
  )
  const scales = locate(`scales${bits}`, "f32", [N * blocks], () => noise(N * blocks, bits + 1))
  const attributes = {
    K: { i: K },
    N: { i: N },
    bits: { i: bits },
    block_size: { i: block },
    accuracy_level: { i: 4 }
  }
  return g.node("MatMulNBits", [x, codes, scales], { domain: "com.microsoft", attributes })
}

/**
 * Two quantized layers and one of f32 over x: f32 (1, rows, inputs), summed. `sessions` > 1 cuts the rows apart and
 * joins them again: another graph with the same initializers.
 */
export const linears = (sessions: number, locate: (name: string) => ExternalData): Uint8Array =>
  buildLinears(sessions, (g) => (name, type, shape) => g.external(name, type, shape, locate(name)))

const buildLinears = (sessions: number, locate: (g: GraphBuilder) => Locate): Uint8Array => {
  const { inputs: K, outputs: N } = linearShape
  const g = graph()
  const x = g.input("x", "f32", [1, "rows", K])
  let rows = x
  if (sessions > 1) {
    const names = Array.from({ length: sessions }, (_, i) => `part_${i}`)
    const parts = g.nodes("Split", [x], names, { attributes: { axis: { i: 1 }, num_outputs: { i: sessions } } })
    rows = g.node("Concat", parts, { attributes: { axis: { i: 1 } } })
  }
  const dense = locate(g)("dense", "f32", [K, N], () => noise(K * N, 7))
  const sum = g.node("Add", [linear(g, locate(g), rows, 4), linear(g, locate(g), rows, 8)])
  g.output(g.node("Add", [sum, g.node("MatMul", [rows, dense])], { name: "y" }), "f32", [1, "rows", N])
  return g.bytes()
}

/** Writes the initializers of {@link linears} to `location` in `folder`, and returns where each lies. */
export const writeLinears = (folder: string, location: string): ReadonlyMap<string, ExternalData> => {
  const entries = new Map<string, ExternalData>()
  const file = fs.openSync(path.join(folder, location), "w")
  let end = 0
  buildLinears(1, (g) => (name, type, shape, data) => {
    const bytes = viewBytes(data())
    entries.set(name, { location, offset: end, length: bytes.length })
    fs.writeSync(file, bytes, 0, bytes.length, end)
    end += Math.ceil(bytes.length / 4096) * 4096
    return g.input(name, type, shape)
  })
  fs.closeSync(file)
  return entries
}
