/** The kernel itself as the reader of what this package writes. */
import { graph } from "@swarm/onnx"
import { InferenceSession, Tensor } from "onnxruntime-node"
import { expect, it } from "vitest"
import { type BlockLinear, blockTypes, concatRows, expand, quantize, repack } from "../src/index.ts"
import { blocksFixture, normal } from "./fixture.ts"

const ROWS = 3

/** x Wᵀ as `MatMulNBits` with f32 activations gives it, without the offsets. x: f32 (ROWS, K). */
const run = async (linear: BlockLinear, x: Float32Array): Promise<Float32Array> => {
  const { bits, blockSize, inFeatures: K, outFeatures: N, packed, scales, zeroPoints } = linear
  const blocks = Math.ceil(K / blockSize)
  const g = graph()
  const inputs = [
    g.input("x", "f32", [ROWS, K]),
    g.constant("b", "u8", [N, blocks, (blockSize * bits) / 8], packed),
    g.constant("scales", "f32", [N, blocks], scales)
  ]
  if (zeroPoints !== undefined) inputs.push(g.constant("zeros", "u8", [N, zeroPoints.length / N], zeroPoints))
  const attributes = { K: { i: K }, N: { i: N }, bits: { i: bits }, block_size: { i: blockSize } }
  g.output(g.node("MatMulNBits", inputs, { domain: "com.microsoft", attributes, name: "y" }), "f32", [ROWS, N])
  const session = await InferenceSession.create(g.bytes(), { intraOpNumThreads: 1, logSeverityLevel: 3 })
  const { y } = await session.run({ x: new Tensor("float32", x, [ROWS, K]) })
  await session.release()
  if (!(y?.data instanceof Float32Array)) throw new Error("no output")
  return y.data
}

/** x Wᵀ in f64 with the expanded weights, less the offsets. */
const reference = (linear: BlockLinear, x: Float32Array): Float64Array => {
  const { blockSize, inFeatures: K, outFeatures: N, offsets } = linear
  const w = expand(linear)
  return Float64Array.from({ length: ROWS * N }, (_, at) => {
    const [row, n] = [Math.floor(at / N), at % N]
    let sum = 0
    for (let k = 0; k < K; k++) {
      const offset = offsets?.[Math.floor(k / blockSize) * N + n] ?? 0
      sum += (x[row * K + k] ?? 0) * ((w[n * K + k] ?? 0) - offset)
    }
    return sum
  })
}

const check = async (linear: BlockLinear): Promise<void> => {
  const x = normal(21, ROWS * linear.inFeatures)
  const y = await run(linear, x)
  const expected = reference(linear, x)
  const greatest = Math.max(...expected.map(Math.abs))
  expect(greatest).toBeGreaterThan(0)
  expect(Math.max(...expected.map((value, i) => Math.abs(value - (y[i] ?? Number.NaN))))).toBeLessThan(2e-6 * greatest)
}

const quantized = [...blockTypes.values()].filter((info) => info.blockSize > 1).map((info) => info.type)
const golden = blocksFixture()

it.each(quantized)("%s", async (type) => {
  const [N = 0, K = 0] = golden.shape(`${type}.values`)
  const linear = repack(type, golden.bytes(`${type}.bytes`), N, K)
  await check(linear)
  await check(concatRows([linear, linear]) ?? linear)
})

it.each(
  ([4, 8] as const).flatMap((bits) =>
    [16, 32, 64, 128, 256].flatMap((b) => [false, true].map((z) => [bits, b, z] as const))
  )
)("%i bits, blocks of %i, zero points %s, a last block that is not full", async (bits, blockSize, zeroPoints) => {
  const [N, K] = [7, 3 * blockSize - 8]
  await check(
    quantize(
      normal(blockSize, N * K).map((w) => w + 0.5),
      N,
      K,
      { bits, blockSize, zeroPoints }
    )
  )
})
