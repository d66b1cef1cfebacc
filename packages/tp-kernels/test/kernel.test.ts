/** The real 4- and 8-bit kernels: the naive and the TP-aware algorithm are equal to the bit. */
import { describe, expect, it } from "vitest"
import { chunkOutputs, cutShard, gate, overlappedProduct, planPair, runPair } from "../src/index.ts"
import { dense, distance, layer, matmul, random, shuffled, together, values } from "./fixture.ts"
import { runtime } from "./runtime.ts"

describe.each([
  [4, true],
  [4, false],
  [8, true],
  [8, false]
] as const)("%i bits, symmetric %s", (bits, symmetric) => {
  const next = random(bits + Number(symmetric))
  const [K, N, M, rows] = [256, 768, 128, 2]
  const options = { bits, symmetric, groupSize: 64, order: shuffled(next, K) }
  const first = [layer(next, K, N, options), layer(next, K, N, options)]
  const second = layer(next, N, M, { bits, symmetric, groupSize: 64, order: shuffled(next, N) })
  const pair = { first, second, structure: { kind: "channels", channels: N } } as const
  const x = values(next, rows * K)
  const parts = first.map((linear) => matmul(x, dense(linear), rows, K, N))
  const expected = matmul(gate("silu")(parts), dense(second), rows, N, M)

  it.each([
    [0, 2],
    [0, 3],
    [4, 2],
    [4, 3]
  ] as const)("level %i, %i ranks", async (level, ranks) => {
    const { kernel, end } = runtime(level)
    const outputs = []
    for (const algorithm of ["naive", "aware"] as const) {
      const plan = planPair(pair, { ranks, algorithm })
      const run = await together(ranks, (group) =>
        runPair(cutShard(plan, group.rank), x, rows, { group, between: gate("silu"), kernel })
      )
      outputs.push(...run)
    }
    await end()
    for (const y of outputs) expect(y).toEqual(outputs[0])
    expect(distance(outputs[0] ?? [], expected)).toBeLessThan(level === 0 ? 1e-5 : 0.02)
  })
})

it("summed in chunks while the next chunk is computed: the same bits as at once", async () => {
  const next = random(3)
  const [K, N, M, rows] = [64, 256, 208, 3]
  const pair = {
    first: [layer(next, K, N, { groupSize: 32 })],
    second: layer(next, N, M, { groupSize: 32, order: shuffled(next, N) }),
    structure: { kind: "channels", channels: N }
  } as const
  const plan = planPair(pair, { ranks: 2 })
  const { kernel, end } = runtime(4)
  const x = values(next, (rows * N) / 2)
  const run = (chunks: number) =>
    together(2, (group) => {
      const { second } = cutShard(plan, group.rank)
      const parts = chunkOutputs(second, chunks)
      expect(parts.reduce((width, { outFeatures }) => width + outFeatures, 0)).toBe(M)
      return overlappedProduct(parts, x, rows, { group, kernel })
    })
  const [whole] = await run(1)
  for (const chunks of [2, 3, 4]) for (const y of await run(chunks)) expect(y).toEqual(whole)
  await end()
  expect(() => chunkOutputs(cutShard(plan, 0).second, 14)).toThrow(RangeError)
})
