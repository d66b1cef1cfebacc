/** A quantized matrix on the kernel that servers use: one node of ONNX, compared with the same weights as floats. */
import { Engine, layer } from "@swarm/engine"
import { graph } from "@swarm/onnx"
import { expand, quantize } from "@swarm/quant"
import { Effect } from "effect"

const [rows, inFeatures, outFeatures] = [4, 256, 128]
const weights = Float32Array.from({ length: outFeatures * inFeatures }, (_, i) => Math.sin(i * 12.9898))
const x = Float32Array.from({ length: rows * inFeatures }, (_, i) => Math.cos(i * 0.37))
const linear = quantize(weights, outFeatures, inFeatures, { bits: 4, blockSize: 32 })

/** y = x Wᵀ; `level` 0 keeps x in floats, 4 rounds it to int8 block by block. */
const model = (level: number): Uint8Array => {
  const g = graph()
  const codes = g.constant("codes", "u8", [outFeatures, inFeatures / 32, 16], linear.packed)
  const scales = g.constant("scales", "f32", [outFeatures, inFeatures / 32], linear.scales)
  const product = g.node("MatMulNBits", [g.input("x", "f32", ["rows", inFeatures]), codes, scales], {
    name: "y",
    domain: "com.microsoft",
    attributes: {
      K: { i: inFeatures },
      N: { i: outFeatures },
      bits: { i: 4 },
      block_size: { i: 32 },
      accuracy_level: { i: level }
    }
  })
  g.output(product, "f32", ["rows", outFeatures])
  return g.bytes()
}

const w = expand(linear)
const expected = Array.from({ length: rows * outFeatures }, (_, at) => {
  const [row, n] = [Math.floor(at / outFeatures), at % outFeatures]
  let sum = 0
  for (let k = 0; k < inFeatures; k++) sum += (x[row * inFeatures + k] ?? 0) * (w[n * inFeatures + k] ?? 0)
  return sum
})

const program = Effect.gen(function* () {
  const engine = yield* Engine
  for (const [name, level, bound] of [["f32", 0, 1e-5] as const, ["int8", 4, 0.02] as const]) {
    const binding = (yield* engine.load({ model: model(level) })).bind()
    const [input, output] = [engine.tensor("f32", [rows, inFeatures]), engine.tensor("f32", [rows, outFeatures])]
    if (!(input.data instanceof Float32Array && output.data instanceof Float32Array)) throw new TypeError("no floats")
    input.data.set(x)
    binding.input("x", input)
    binding.output("y", output)
    yield* Effect.promise(() => binding.run())
    const greatest = Math.max(...expected.map(Math.abs))
    const worst = Math.max(...output.data.map((value, at) => Math.abs(value - (expected[at] ?? 0)))) / greatest
    console.log(`${name} activations: within ${bound} of the greatest value: ${worst < bound}`)
  }
})
await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(layer)))
// prints: f32 activations: within 0.00001 of the greatest value: true
// int8 activations: within 0.02 of the greatest value: true
