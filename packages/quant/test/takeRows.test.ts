import { expect, it } from "vitest"
import { type BlockLinear, blockBytes, expand, quantize, repack, takeRows } from "../src/index.ts"
import { bits, normal, random } from "./fixture.ts"

const K = 256
const rows = Uint32Array.of(4, 0, 2, 2)
const next = random(3)

const layers: ReadonlyArray<readonly [string, BlockLinear]> = [
  ["4 bits", quantize(normal(1, 5 * K), 5, K, { bits: 4, blockSize: 32 })],
  ["zero points", quantize(normal(2, 5 * K), 5, K, { bits: 4, blockSize: 128, zeroPoints: true })],
  ["8 bits, a short block", quantize(normal(3, 5 * 40), 5, 40, { bits: 8, blockSize: 16 })],
  [
    "offsets",
    repack(
      "Q4_K",
      Uint8Array.from({ length: blockBytes("Q4_K", 5 * K) }, () => next() * 60),
      5,
      K
    )
  ]
]

it.each(layers)("takeRows of %s keeps the weights of each row", (_, linear) => {
  const width = linear.inFeatures
  const weights = expand(linear)
  const expected = Float32Array.from([...rows].flatMap((row) => [...weights.subarray(row * width, (row + 1) * width)]))
  const taken = takeRows(linear, rows)
  expect(taken.outFeatures).toBe(4)
  expect(bits(expand(taken))).toEqual(bits(expected))
  expect(() => takeRows(linear, Uint32Array.of(5))).toThrow(RangeError)
})
