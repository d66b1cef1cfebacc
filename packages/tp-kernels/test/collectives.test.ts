/** Every collective, algorithm and number of ranks: the sums, the bits, the bytes. */
import { wireCodecs } from "@swarm/quant"
import { describe, expect, it } from "vitest"
import {
  type Algorithm,
  type AllReduceAlgorithm,
  allGather,
  allGatherSchedule,
  allReduce,
  allReduceErrorBound,
  allReduceSchedule,
  allReduceTopK,
  broadcast,
  broadcastSchedule,
  predictTraffic,
  reduceScatter,
  reduceScatterSchedule,
  segment,
  topK
} from "../src/index.ts"
import { between, pick, random, together, values } from "./fixture.ts"

const algorithms: ReadonlyArray<Algorithm> = ["direct", "ring", "tree", "hierarchical"]
const reducing: ReadonlyArray<AllReduceAlgorithm> = [...algorithms, "one-shot"]
const sizes = [1, 2, 3, 4, 5, 6, 8]
const nodeSizes = (size: number) => [1, 2, 3, 4, 6, 8].filter((nodeSize) => size % nodeSize === 0)

/** Small whole numbers: sums are exact in any order. */
const whole = (rank: number, length: number) => Float32Array.from({ length }, (_, i) => ((i * 7 + rank * 13) % 31) - 15)

const total = (size: number, length: number) =>
  Float32Array.from({ length }, (_, i) =>
    Array.from({ length: size }, (_value, rank) => whole(rank, length)[i] ?? 0).reduce((a, b) => a + b, 0)
  )

/** Each case with every way to cut the ranks into nodes; vectors shorter than the group, too. */
const topologies = sizes.flatMap((size) =>
  [0, 5, 97].flatMap((length) =>
    algorithms.flatMap((algorithm) =>
      (algorithm === "hierarchical" ? nodeSizes(size) : [size]).map((nodeSize) => ({
        size,
        length,
        algorithm,
        nodeSize
      }))
    )
  )
)

describe("results and traffic", () => {
  it("AllReduce sums, the same on all ranks", async () => {
    for (const { size, length, algorithm, nodeSize } of topologies) {
      const expected = total(size, length)
      for (const name of algorithm === "direct" ? ([algorithm, "one-shot"] as const) : [algorithm]) {
        await together(size, async (group) => {
          const options = { algorithm: name, nodeSize }
          expect(await allReduce(group, whole(group.rank, length), options)).toEqual(expected)
          expect(group.traffic()).toEqual(
            predictTraffic(allReduceSchedule(name, { size, length, nodeSize }, group.rank))
          )
        })
      }
    }
  })

  it("AllGather and ReduceScatter give and take each rank's segment", async () => {
    for (const topology of topologies) {
      const { size, length, algorithm, nodeSize } = topology
      const sum = total(size, length)
      await together(size, async (group) => {
        const { from, to } = segment(topology, group.rank)
        const x = new Float32Array(length).fill(Number.NaN)
        x.set(sum.subarray(from, to), from)
        expect(await allGather(group, x, { algorithm, nodeSize })).toEqual(sum)
        const gathered = predictTraffic(allGatherSchedule(algorithm, topology, group.rank))
        expect(group.traffic()).toEqual(gathered)
        const own = await reduceScatter(group, whole(group.rank, length), { algorithm, nodeSize })
        expect(own).toEqual(sum.subarray(from, to))
        const scattered = predictTraffic(reduceScatterSchedule(algorithm, topology, group.rank))
        expect(group.traffic().bytes).toBe(gathered.bytes + scattered.bytes)
      })
    }
  })

  it("Broadcast gives every rank the root's vector", async () => {
    for (const topology of topologies) {
      const { size, length, algorithm, nodeSize } = topology
      for (const root of new Set([0, size - 1])) {
        await together(size, async (group) => {
          const x = group.rank === root ? whole(root, length) : new Float32Array(length)
          expect(await broadcast(group, x, root, { algorithm, nodeSize })).toEqual(whole(root, length))
          expect(group.traffic()).toEqual(predictTraffic(broadcastSchedule(algorithm, topology, group.rank, root)))
        })
      }
    }
  })

  it("bytes and rounds are those of the textbook", () => {
    const [size, length] = [8, 8000]
    const traffic = (algorithm: AllReduceAlgorithm, nodeSize = 8) =>
      predictTraffic(allReduceSchedule(algorithm, { size, length, nodeSize }, 3))
    const optimal = (2 * 4 * length * (size - 1)) / size
    expect(traffic("ring")).toEqual({ bytes: optimal, messages: 14, steps: 14 })
    expect(traffic("tree")).toEqual({ bytes: optimal, messages: 6, steps: 6 })
    expect(traffic("direct")).toEqual({ bytes: optimal, messages: 14, steps: 2 })
    expect(traffic("one-shot")).toEqual({ bytes: 4 * length * (size - 1), messages: 7, steps: 1 })
    expect(traffic("hierarchical", 4)).toEqual({ bytes: optimal, messages: 8, steps: 8 })
  })
})

describe("narrow formats", () => {
  it.each(wireCodecs)("%s: within the bound, and the same bits on all ranks", async (codec) => {
    const next = random(5)
    for (let round = 0; round < 40; round++) {
      const size = between(next, 1, 8)
      const nodeSize = pick(next, nodeSizes(size))
      const algorithm = pick(next, reducing)
      const length = between(next, 1, 300)
      const inputs = Array.from({ length: size }, () => {
        const scale = 10 ** between(next, -3, 3)
        return values(next, length).map((value) => value * scale)
      })
      const results = await together(size, (group) =>
        allReduce(group, inputs[group.rank]?.slice() ?? new Float32Array(), { algorithm, nodeSize, codec })
      )
      for (const result of results) expect(result).toEqual(results[0])
      const peaks = inputs.map((x) => x.reduce((peak, value) => Math.max(peak, Math.abs(value)), 0))
      results[0]?.forEach((value, i) => {
        const exact = inputs.reduce((sum, x) => sum + (x[i] ?? 0), 0)
        const magnitudes = ["int8", "dynamic8", "int4"].includes(codec) ? peaks : inputs.map((x) => Math.abs(x[i] ?? 0))
        expect(Math.abs(value - exact)).toBeLessThanOrEqual(allReduceErrorBound(algorithm, codec, magnitudes, nodeSize))
      })
    }
  })

  it("a direct sum keeps the error of two encodings where a ring adds one per rank", () => {
    const bound = (algorithm: AllReduceAlgorithm) =>
      allReduceErrorBound(algorithm, "int8", new Array<number>(8).fill(1))
    expect(bound("direct") / bound("ring")).toBeCloseTo(2 / 8, 1)
  })

  it("bytes shrink as the codec says, and values beyond f16 go as f32", async () => {
    const big = values(random(1), 4096).map((value) => value * 1e6)
    const [narrow] = await together(2, async (group) => {
      await allReduce(group, values(random(1), 4096), { codec: "f16" })
      return group.traffic().bytes
    })
    expect(narrow).toBe(2 * 4096)
    const [sum] = await together(2, (group) => allReduce(group, big.slice(), { codec: "f16" }))
    expect(sum?.some((value) => Math.abs(value) > 1.9e6)).toBe(true)
    expect(sum?.every(Number.isFinite)).toBe(true)
  })

  it("top-k: what was summed and what is held back add up to what was put in", async () => {
    const [size, length, k] = [3, 50, 5]
    const next = random(11)
    const inputs = Array.from({ length: 20 }, () => Array.from({ length: size }, () => values(next, length)))
    const states = await together(size, async (group) => {
      const state = topK(length, k)
      const sum = new Float64Array(length)
      for (const round of inputs) {
        const x = round[group.rank]?.slice() ?? new Float32Array()
        const before = state.residual.map((value, i) => value + (x[i] ?? 0))
        const result = await allReduceTopK(group, x, state)
        result.forEach((value, i) => {
          sum[i] = (sum[i] ?? 0) + value
        })
        const norm = (of: Float32Array) => of.reduce((square, value) => square + value * value, 0)
        expect(norm(state.residual)).toBeLessThanOrEqual((1 - k / length) * norm(before) * (1 + 1e-6))
      }
      expect(group.traffic()).toEqual({ bytes: 20 * 2 * 8 * k, messages: 40, steps: 20 })
      return { sum, residual: state.residual }
    })
    for (const { sum } of states) expect(sum).toEqual(states[0]?.sum)
    for (let i = 0; i < length; i++) {
      const put = inputs.flat().reduce((all, x) => all + (x[i] ?? 0), 0)
      const held = states.reduce((all, { residual }) => all + (residual[i] ?? 0), 0)
      expect((states[0]?.sum[i] ?? 0) + held).toBeCloseTo(put, 4)
    }
    expect(() => topK(4, 5)).toThrow(RangeError)
  })
})

it("what cannot be asked for is refused, and the group goes on", async () => {
  await together(4, async (group) => {
    const x = whole(group.rank, 8)
    expect(() => allReduce(group, x, { algorithm: "hierarchical", nodeSize: 3 })).toThrow(RangeError)
    expect(() => broadcast(group, x, 4)).toThrow(RangeError)
    expect(await allReduce(group, x)).toEqual(total(4, 8))
  })
})
