/**
 * The real kernel, for tests and benchmarks.
 * @module
 */
import { graph } from "@swarm/onnx"
import type { BlockLinear } from "@swarm/quant"
import { InferenceSession, Tensor } from "onnxruntime-node"
import type { Kernel } from "../src/index.ts"

/** `MatMulNBits` with int8 activations (level 4) or f32 ones (level 0); `end` releases what was made. */
export const runtime = (level: 0 | 4) => {
  const sessions = new Map<string, Promise<InferenceSession>>()
  const names = new WeakMap<BlockLinear, number>()
  let count = 0
  const make = (linear: BlockLinear, rows: number): Promise<InferenceSession> => {
    const { bits, blockSize, inFeatures: K, outFeatures: N, packed, scales, zeroPoints } = linear
    const blocks = Math.ceil(K / blockSize)
    const g = graph()
    const inputs = [
      g.input("x", "f32", [rows, K]),
      g.constant("b", "u8", [N, blocks, (blockSize * bits) / 8], packed),
      g.constant("scales", "f32", [N, blocks], scales)
    ]
    if (zeroPoints !== undefined) inputs.push(g.constant("zeros", "u8", [N, zeroPoints.length / N], zeroPoints))
    const sizes = { K: { i: K }, N: { i: N }, bits: { i: bits }, block_size: { i: blockSize } }
    const attributes = { ...sizes, accuracy_level: { i: level } }
    g.output(g.node("MatMulNBits", inputs, { domain: "com.microsoft", attributes, name: "y" }), "f32", [rows, N])
    return InferenceSession.create(g.bytes(), { intraOpNumThreads: 1, logSeverityLevel: 3 })
  }
  const kernel: Kernel = async (linear, x, rows) => {
    const name = names.get(linear) ?? count++
    names.set(linear, name)
    const key = `${name} ${rows}`
    const session = sessions.get(key) ?? make(linear, rows)
    sessions.set(key, session)
    const { y } = await (await session).run({ x: new Tensor("float32", x, [rows, linear.inFeatures]) })
    if (!(y?.data instanceof Float32Array)) throw new Error("no output")
    return y.data.slice()
  }
  const end = async (): Promise<void> => {
    for (const session of sessions.values()) await (await session).release()
  }
  return { kernel, end }
}
