import { describe, expect, it } from "vitest"
import { type CostOptions, machines, pairCost, published, publishedShapes } from "../src/index.ts"

const rowCounts = [1, 2, 4, 8, 16]
const shape = publishedShapes["Llama-70B"]

const mean = (options: Omit<CostOptions, "rows" | "weightBits">, of: keyof typeof publishedShapes = "Llama-70B") =>
  rowCounts.reduce((sum, rows) => sum + pairCost(publishedShapes[of], { ...options, rows, weightBits: 16 }).total, 0) /
  rowCounts.length

describe("bytes and messages", () => {
  it("are those of the two algorithms", () => {
    for (const ranks of [1, 2, 4, 8]) {
      for (const rows of rowCounts) {
        const cost = (algorithm: "naive" | "aware") =>
          pairCost(shape, { machine: machines.A100, algorithm, ranks, rows, weightBits: 4.25 })
        const [naive, aware] = [cost("naive"), cost("aware")]
        expect(aware.bytes).toBe((2 * 2 * rows * 8192 * (ranks - 1)) / ranks)
        expect(naive.bytes - aware.bytes).toBe((2 * rows * 28672 * (ranks - 1)) / ranks)
        expect([aware.messages, naive.messages]).toEqual([2 * (ranks - 1), 3 * (ranks - 1)])
      }
    }
  })

  it("bound the ratio of communication: 1.5 by latency, 2.75 by bandwidth", () => {
    const exchange = (latency: number, secondsPerByte: number) => {
      const machine = { ...machines.A100, collective: 0, link: { latency, secondsPerByte } }
      const [naive, aware] = (["naive", "aware"] as const).map((algorithm) =>
        pairCost(shape, { machine, algorithm, ranks: 8, rows: 16, weightBits: 4 })
      )
      return ((naive?.gather ?? 0) + (naive?.reduce ?? 0)) / (aware?.reduce ?? 1)
    }
    expect(exchange(1, 1e-15)).toBeCloseTo(1.5, 6)
    expect(exchange(1e-15, 1)).toBeCloseTo(2.75, 6)
  })
})

describe("published figures", () => {
  const known = published.filter(({ naive, aware }) => naive !== undefined && aware !== undefined)

  it.each(known)(
    "$gpu, $model, $ranks ranks: within 15 % with one figure fitted",
    ({ gpu, model, ranks, ...figures }) => {
      const machine = machines[`${gpu}-as-published`]
      const naive = 1e3 * mean({ machine, algorithm: "naive", ranks }, model)
      const aware = 1e3 * mean({ machine, algorithm: "aware", ranks }, model)
      expect(Math.abs(naive / (figures.naive ?? 0) - 1)).toBeLessThan(0.15)
      expect(Math.abs(aware / (figures.aware ?? 0) - 1)).toBeLessThan(0.15)
      expect(Math.abs(naive / aware / figures.ratio - 1)).toBeLessThan(0.15)
    }
  )

  it("data sheets alone do not explain them: the gain is in the cost of a collective", () => {
    const ratio = (machine: (typeof machines)[keyof typeof machines]) =>
      mean({ machine, algorithm: "naive", ranks: 8 }) / mean({ machine, algorithm: "aware", ranks: 8 })
    expect(ratio(machines.A100)).toBeLessThan(1.4)
    expect(ratio(machines["A100-as-published"])).toBeGreaterThan(1.7)
  })

  it("the gain grows with the ranks, and one rank has only the two small operations to save", () => {
    const gains = [1, 2, 4, 8].map((ranks) => {
      const machine = machines["A100-as-published"]
      return mean({ machine, algorithm: "naive", ranks }) / mean({ machine, algorithm: "aware", ranks })
    })
    expect(gains).toEqual(gains.toSorted((a, b) => a - b))
    expect(gains[0]).toBeLessThan(1.05)
  })
})

it("ranks that do not divide are refused", () => {
  const options = { machine: machines.A100, algorithm: "aware", rows: 1, weightBits: 16 } as const
  for (const ranks of [0, 3, 1.5, -1]) expect(() => pairCost(shape, { ...options, ranks })).toThrow(RangeError)
})
