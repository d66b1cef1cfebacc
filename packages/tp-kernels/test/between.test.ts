import { expect, it } from "vitest"
import { activate, gate } from "../src/index.ts"

/** x Φ(x), with Φ from tables of the normal distribution (Python: statistics.NormalDist().cdf). */
it.each([
  [1, 0.8413447460685429],
  [-1, -0.15865525393145707],
  [2, 1.9544997361036416],
  [0.5, 0.34573123063700656],
  [3, 2.99595030590511],
  [5, 4.999998566742141],
  [-5, -1.4332578593401202e-6],
  [0, 0],
  [40, 40]
])("gelu(%d)", (x, y) => {
  expect(Math.abs((activate("gelu")([Float64Array.of(x)])[0] ?? Number.NaN) - y)).toBeLessThan(
    2e-15 * Math.max(1, Math.abs(x)) + 1e-15
  )
})

it("the others by their definitions", () => {
  const x = () => Float64Array.of(-2, 0, 3)
  expect([...activate("identity")([x()])]).toEqual([-2, 0, 3])
  expect([...activate("relu")([x()])]).toEqual([0, 0, 3])
  expect(activate("silu")([x()])[2]).toBeCloseTo(3 / (1 + Math.exp(-3)), 14)
  expect([...gate("relu")([x(), Float64Array.of(5, 5, 5)])]).toEqual([0, 0, 15])
  // The tanh form is within 5e-4 of the exact one.
  const [tanh, exact] = [activate("gelu_tanh")([x()]), activate("gelu")([x()])]
  tanh.forEach((value, i) => {
    expect(Math.abs(value - (exact[i] ?? Number.NaN))).toBeLessThan(5e-4)
  })
})

it("parts that do not fit are refused", () => {
  expect(() => activate("relu")([])).toThrow(RangeError)
  expect(() => gate("silu")([new Float32Array(2)])).toThrow(RangeError)
  expect(() => gate("silu")([new Float32Array(2), new Float32Array(3)])).toThrow(RangeError)
})
