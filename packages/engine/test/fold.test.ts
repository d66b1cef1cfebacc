/**
 * Offsets in packed weights: the same result as a graph that adds them, within the rounding of the sums.
 */
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { assert, layer } from "@effect/vitest"
import { type ExternalData, graph } from "@swarm/onnx"
import { Effect } from "effect"
import { describe, expect, it } from "vitest"
import { layerCapi } from "../src/Capi.ts"
import { Engine, type Fold } from "../src/Engine.ts"
import { foldBlob } from "../src/internal/fold.ts"

const BLOCK = 32

/** A layer with weights scale * (q - zero) + offset; values are far from symmetric. */
const makeLinear = (bits: 4 | 8, inputs: number, rows: number) => {
  const blocks = inputs / BLOCK
  const codes = new Uint8Array((rows * inputs * bits) / 8).map((_, i) => (i * 37 + 11) & 255)
  const scales = new Float32Array(rows * blocks).map((_, i) => 0.01 + ((i * 7) % 13) / 1000)
  const offsets = new Float32Array(blocks * rows).map((_, i) => ((i * 5) % 17) / 50 - 0.1)
  return { bits, inputs, rows, blocks, codes, scales, offsets }
}

type Linear = ReturnType<typeof makeLinear>

const model = (
  { bits, inputs, rows, blocks }: Linear,
  folded: boolean,
  locate: (name: string) => ExternalData
): Uint8Array => {
  const g = graph()
  g.input("x", "f32", [1, "rows", inputs])
  g.external("codes", "u8", [rows, blocks, (BLOCK * bits) / 8], locate("codes"))
  g.external("scales", "f32", [rows, blocks], locate("scales"))
  const attributes = {
    K: { i: inputs },
    N: { i: rows },
    bits: { i: bits },
    block_size: { i: BLOCK },
    accuracy_level: { i: 4 }
  }
  const product = g.node("MatMulNBits", ["x", "codes", "scales"], { domain: "com.microsoft", attributes })
  if (folded) g.node("Identity", [product], { name: "y" })
  else {
    g.external("offsets", "f32", [blocks, rows], locate("offsets"))
    const shape = g.constant("shape", "i64", [4], BigInt64Array.of(1n, -1n, BigInt(blocks), BigInt(BLOCK)))
    const last = g.constant("last", "i64", [1], BigInt64Array.of(-1n))
    const sums = g.node("ReduceSum", [g.node("Reshape", ["x", shape]), last], { attributes: { keepdims: { i: 0 } } })
    g.node("Add", [product, g.node("MatMul", [sums, "offsets"])], { name: "y" })
  }
  g.output("y", "f32", [1, "rows", rows])
  return g.bytes()
}

layer(layerCapi, { excludeTestServices: true })("folded offsets", (it) => {
  for (const [bits, inputs, rows] of [
    [4, 96, 48],
    [4, 64, 40],
    [8, 96, 48]
  ] as const) {
    it.scoped(`${bits} bits, ${rows} x ${inputs}`, () =>
      Effect.gen(function* () {
        const engine = yield* Engine
        const linear = makeLinear(bits, inputs, rows)
        const folder = yield* Effect.acquireRelease(
          Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "swarm-fold-"))),
          (made) => Effect.sync(() => fs.rmSync(made, { recursive: true }))
        )
        const { codes, scales, offsets, blocks } = linear
        const pieces = { codes, scales, offsets } as Record<string, Uint8Array | Float32Array>
        for (const [name, data] of Object.entries(pieces)) fs.writeFileSync(path.join(folder, name), data)
        const raw = (name: string): ExternalData => ({
          location: name,
          offset: 0,
          length: pieces[name]?.byteLength ?? 0
        })
        const zero = 2 ** (bits - 1)
        const fold: Fold = { weights: "codes", zero, rows, blocks, scales: () => scales, offsets: () => offsets }
        const packed = yield* engine.pack?.({ model: model(linear, false, raw), folder }, "packed.bin", [fold]) ??
          Effect.die("no pack")
        // on processors whose kernels keep no such numbers nothing is folded, and nothing is to be shown
        if (!engine.info.instructionSet.startsWith("x64")) return
        assert.deepStrictEqual([...packed.folded], ["codes"])
        const located = (name: string): ExternalData => {
          const entry = packed.entries.get(name)
          return {
            location: packed.location,
            offset: entry?.offset ?? 0,
            length: entry?.length ?? 0,
            extra: { ...entry?.prepacked }
          }
        }
        const results: Array<Float32Array> = []
        for (const count of [1, 5]) {
          const x = engine.tensor("f32", [1, count, inputs])
          const y = engine.tensor("f32", [1, count, rows])
          ;(x.data as Float32Array).forEach((_, i, all) => {
            all[i] = Math.sin(i * 0.7) + 0.3
          })
          for (const source of [model(linear, false, raw), model(linear, true, located)]) {
            const binding = (yield* engine.load({ model: source, folder })).bind()
            binding.input("x", x)
            binding.output("y", y)
            yield* Effect.promise(() => binding.run())
            results.push((y.data as Float32Array).slice())
            binding.close()
          }
          const [expected, got] = results.splice(0)
          const scale = Math.max(...(expected ?? []).map(Math.abs))
          const difference = Math.max(...(expected ?? []).map((value, i) => Math.abs(value - (got?.[i] ?? Number.NaN))))
          assert.isBelow(difference / scale, 0.02)
        }
      })
    )
  }
})

describe("foldBlob", () => {
  it("leaves a blob alone that does not hold the numbers", () => {
    const { scales, offsets, rows, blocks } = makeLinear(4, 64, 16)
    const blob = Float32Array.from({ length: 200 }, (_, i) => i)
    const before = blob.slice()
    const fold: Fold = { weights: "w", zero: 8, rows, blocks, scales: () => scales, offsets: () => offsets }
    expect(foldBlob(blob, fold)).toBe(false)
    expect(blob).toEqual(before)
  })
})
