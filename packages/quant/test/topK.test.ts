import { expect, it } from "vitest"
import { addTopK, encodeTopK, topK, topKBytes } from "../src/index.ts"
import { normal, random } from "./fixture.ts"

const positions = (data: Uint8Array) => Array.from(new Uint32Array(data.buffer)).filter((_, i) => i % 2 === 0)

it("sends the k greatest magnitudes, of equals the first", () => {
  const next = random(4)
  for (const length of [1, 2, 100, 3000]) {
    // few distinct values: many equals
    const x = Float32Array.from({ length }, () => Math.round((next() - 0.5) * 9) * 10 ** Math.round(8 * next() - 4))
    for (const k of new Set([1, Math.ceil(length / 3), length])) {
      const data = new Uint8Array(topKBytes(k))
      encodeTopK(topK(length, k), x, data)
      const sorted = Array.from(x.keys()).sort((a, b) => Math.abs(x[b] ?? 0) - Math.abs(x[a] ?? 0) || a - b)
      expect(positions(data)).toEqual(sorted.slice(0, k).sort((a, b) => a - b))
    }
  }
})

it("sends the total in the end: messages and residual add up, and the residual stays bounded", () => {
  const [length, k] = [500, 50]
  const state = topK(length, k)
  const sum = new Float32Array(length)
  const total = new Float64Array(length)
  const data = new Uint8Array(topKBytes(k))
  for (let t = 0; t < 40; t++) {
    const x = normal(t + 1, length)
    const before = state.residual.map((r, i) => r + (x[i] ?? 0)).reduce((norm, v) => norm + v * v, 0)
    x.forEach((v, i) => {
      total[i] = (total[i] ?? 0) + v
    })
    encodeTopK(state, x, data)
    addTopK(data, sum)
    const after = state.residual.reduce((norm, v) => norm + v * v, 0)
    expect(after).toBeLessThanOrEqual((1 - k / length) * before * (1 + 1e-6))
  }
  total.forEach((v, i) => {
    expect((sum[i] ?? 0) + (state.residual[i] ?? 0)).toBeCloseTo(v, 4)
  })
})

it("counts NaN as the greatest, and writes at any byte offset", () => {
  const data = new Uint8Array(topKBytes(1) + 3)
  encodeTopK(topK(3, 1), Float32Array.of(5, Number.NaN, Number.POSITIVE_INFINITY), data.subarray(3))
  expect(data[3]).toBe(1)
})

it("refuses lengths and positions that do not fit, and leaves the sum alone", () => {
  expect(() => topK(4, 5)).toThrow(RangeError)
  expect(() => topK(4, 0)).toThrow(RangeError)
  expect(() => encodeTopK(topK(4, 2), new Float32Array(3), new Uint8Array(16))).toThrow(RangeError)
  expect(() => encodeTopK(topK(4, 2), new Float32Array(4), new Uint8Array(15))).toThrow(RangeError)
  const sum = new Float32Array(2)
  expect(() => addTopK(new Uint8Array(7), sum)).toThrow(RangeError)
  const data = new Uint8Array(topKBytes(2))
  encodeTopK(topK(4, 2), Float32Array.of(1, 0, 0, 2), data)
  expect(() => addTopK(data, sum)).toThrow(RangeError)
  expect(sum).toEqual(new Float32Array(2))
})
