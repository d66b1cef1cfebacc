/** Parts of layers with groups: every weight where it belongs, zeros where a block has no more of its group. */
import { assert, describe, it } from "vitest"
import { blockedRows, expand, type GroupedCodes, groupedBlocks, PADDING } from "../src/index.ts"

const random = (seed: number) => {
  let state = seed
  return (below: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

const shuffled = (length: number, next: (below: number) => number): Uint32Array => {
  const order = Uint32Array.from({ length }, (_, i) => i)
  for (let i = length - 1; i > 0; i--) {
    const j = next(i + 1)
    ;[order[i], order[j]] = [order[j] ?? 0, order[i] ?? 0]
  }
  return order
}

describe("parts of a layer with groups in any order", () => {
  for (const symmetric of [true, false]) {
    for (const [seed, groupSize, taken] of [
      [1, 32, 48],
      [2, 64, 64],
      [3, 128, 90],
      [4, 192, 70],
      [5, 16, 192]
    ] as const) {
      it(`${symmetric ? "symmetric" : "with zero points"}, groups of ${groupSize}, ${taken} of 192 inputs`, () => {
        const next = random(seed)
        const [K, N] = [192, 8]
        const groups = Math.ceil(K / groupSize)
        const groupIndex = new Uint32Array(K)
        shuffled(K, next).forEach((row, at) => {
          groupIndex[row] = Math.floor(at / groupSize)
        })
        const linear: GroupedCodes = {
          ...{ bits: 4, inFeatures: K, outFeatures: N, groupSize, groupIndex },
          codes: Uint32Array.from({ length: (K / 8) * N }, () => next(2 ** 32)),
          scales: Float32Array.from({ length: groups * N }, () => 1 + next(64)),
          ...(symmetric ? {} : { zeros: Uint8Array.from({ length: groups * N }, () => next(16)) })
        }
        const inputs = shuffled(K, next).slice(0, taken)
        const { positions, blockSize } = blockedRows(linear, inputs)
        assert.deepStrictEqual(
          Array.from(positions.filter((position) => position !== PADDING)).sort((a, b) => a - b),
          Array.from(inputs.keys())
        )
        const rows = positions.map((position) => (position === PADDING ? PADDING : (inputs[position] ?? 0)))
        const columns = Uint32Array.of(7, 0, 3)
        const values = expand(groupedBlocks(linear, { rows, columns, bits: 4, blockSize }))
        columns.forEach((column, n) => {
          rows.forEach((row, k) => {
            const group = groupIndex[row] ?? 0
            const code = ((linear.codes[Math.floor(row / 8) * N + column] ?? 0) >>> ((row % 8) * 4)) & 15
            const zero = linear.zeros?.[group * N + column] ?? 8
            const wanted = row === PADDING ? 0 : (linear.scales[group * N + column] ?? 0) * (code - zero)
            assert.strictEqual(values[n * rows.length + k], wanted, `output ${column}, input ${row}`)
          })
        })
      })
    }
  }

  it("a slice of the act-order itself needs no zeros", () => {
    const groupIndex = Uint32Array.from({ length: 256 }, (_, row) => row % 4)
    const order = Uint32Array.from({ length: 256 }, (_, i) => Math.floor(i / 64) + 4 * (i % 64))
    const { positions, blockSize } = blockedRows({ groupSize: 64, groupIndex }, order.slice(64, 192))
    assert.deepStrictEqual([positions.length, blockSize], [128, 64])
    assert.isTrue(positions.every((position, i) => position === i))
  })
})
