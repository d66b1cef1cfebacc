import { describe, expect, it } from "vitest"
import { type BlockLinear, concatRows, expand, quantize, repack } from "../src/index.ts"
import { bits, fixture, normal } from "./fixture.ts"

const golden = fixture("gguf/blocks.safetensors")

const slices = (type: "Q4_0" | "Q4_1" | "Q4_K" | "Q6_K", rows: ReadonlyArray<readonly [number, number]>) => {
  const bytes = golden.bytes(`${type}.bytes`)
  const rowBytes = bytes.length / 8
  return rows.map(([from, to]) => repack(type, bytes.subarray(from * rowBytes, to * rowBytes), to - from, 512))
}

describe("concatRows", () => {
  it.each(["Q4_0", "Q4_1", "Q4_K", "Q6_K"] as const)("joins the parts of %s to the whole", (type) => {
    const [whole] = slices(type, [[0, 8]])
    expect(
      concatRows(
        slices(type, [
          [0, 3],
          [3, 4],
          [4, 8]
        ])
      )
    ).toEqual(whole)
  })

  it("joins zero points", () => {
    const w = normal(3, 6 * 96, 2)
    const make = (from: number, to: number) =>
      quantize(w.subarray(from * 96, to * 96), to - from, 96, { bits: 4, blockSize: 32, zeroPoints: true })
    const joined = concatRows([make(0, 1), make(1, 6)])
    expect(joined).toEqual(make(0, 6))
    expect(bits(expand(joined as BlockLinear))).toEqual(bits(expand(make(0, 6))))
  })

  it("keeps layers of different layouts or inputs apart", () => {
    const [q4] = slices("Q4_0", [[0, 2]])
    const [q41] = slices("Q4_1", [[0, 2]])
    const [q6] = slices("Q6_K", [[0, 2]])
    if (q4 === undefined || q41 === undefined || q6 === undefined) throw new Error("no layers")
    expect(concatRows([q4, q41])).toBeUndefined()
    expect(concatRows([q4, q6])).toBeUndefined()
    expect(concatRows([q4, quantize(normal(1, 64), 2, 32, { bits: 4, blockSize: 32 })])).toBeUndefined()
    expect(concatRows([q4, quantize(normal(1, 1024), 2, 512, { bits: 4, blockSize: 64 })])).toBeUndefined()
  })

  it("returns a single layer as it is and refuses none", () => {
    const layer = quantize(normal(1, 64), 2, 32, { bits: 8, blockSize: 32 })
    expect(concatRows([layer])).toBe(layer)
    expect(() => concatRows([])).toThrow(RangeError)
  })
})
