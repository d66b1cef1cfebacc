/** Both algorithms against PyTorch's results, and against the layers' definition for random shapes. */
import { readFileSync } from "node:fs"
import { describe, expect, it } from "vitest"
import {
  type Activation,
  activate,
  cutShard,
  type GroupedLinear,
  gate,
  identity,
  type LinearPair,
  orderOf,
  packCodes,
  planPair,
  product,
  runPair,
  runReference,
  slice
} from "../src/index.ts"
import {
  between,
  dense,
  distance,
  fixture,
  half,
  layer,
  matmul,
  pick,
  random,
  shuffled,
  together,
  values
} from "./fixture.ts"

interface Case {
  readonly K: number
  readonly N: number
  readonly M: number
  readonly group_size: number
  readonly gated: boolean
  readonly activation: Activation
  readonly ranks: ReadonlyArray<number>
}

const cases: Record<string, Case> = JSON.parse(
  readFileSync(new URL("../../../test/fixtures/tp/cases.json", import.meta.url), "utf8")
)

describe.each(Object.entries(cases))("%s", (name, { K, N, M, group_size, gated, activation, ranks }) => {
  const file = fixture(`tp/${name}.safetensors`)
  const read = (at: string, inFeatures: number, outFeatures: number): GroupedLinear => ({
    name: at,
    bits: 4,
    inFeatures,
    outFeatures,
    groupSize: group_size,
    codes: packCodes(file.u8(`${at}.codes`), inFeatures, outFeatures, 4),
    scales: Float32Array.from(file.f16(`${at}.scales`), half),
    zeros: file.u8(`${at}.zeros`),
    groupIndex: file.i32(`${at}.g_idx`)
  })
  const pair: LinearPair = {
    first: gated ? [read("gate", K, N), read("up", K, N)] : [read("up", K, N)],
    second: read("down", N, M),
    structure: { kind: "channels", channels: N }
  }
  const f = gated ? gate(activation) : activate(activation)
  const x = file.f32("X")
  const rows = x.length / K
  const expected = file.f64("Y")

  it.each(ranks)("%i ranks: slices, partial sums and result are PyTorch's in f64", (size) => {
    for (const algorithm of ["naive", "aware"] as const) {
      const plan = planPair(pair, { ranks: size, algorithm })
      expect(plan.movement).toBe(algorithm === "naive" ? "gather" : "folded")
      expect([...plan.hiddenOrder]).toEqual([...file.i32("P2")])
      const shards = plan.ranks.map((_, rank) => cutShard(plan, rank))
      const run = runReference(shards, Float64Array.from(x), rows, f)
      expect(distance(run.y, expected)).toBeLessThan(1e-13)
      run.partials.forEach((partial, rank) => {
        expect(distance(partial, file.f64(`aware.${size}.${rank}.partial`))).toBeLessThan(1e-13)
      })
      if (algorithm === "naive") {
        run.hidden.forEach((hidden, rank) => {
          expect(distance(hidden, file.f64(`naive.${size}.${rank}.hidden`))).toBeLessThan(1e-13)
        })
      }
    }
  })

  it.each(ranks)("%i ranks over messages, f32: both algorithms end with the same bits on all ranks", async (size) => {
    const results = []
    for (const algorithm of ["naive", "aware"] as const) {
      const plan = planPair(pair, { ranks: size, algorithm })
      const outputs = await together(size, async (group) => {
        const y = await runPair(cutShard(plan, group.rank), x, rows, { group, between: f })
        const hidden = algorithm === "naive" ? (size - 1) * 4 * ((rows * N) / size) : 0
        const reduced = 2 * (size - 1) * 4 * ((rows * M) / size)
        // Segments of a vector that the ranks do not divide differ by one value.
        expect(Math.abs(group.traffic().bytes - hidden - reduced)).toBeLessThanOrEqual(8 * (size - 1))
        expect(group.traffic().steps).toBe(size === 1 ? 0 : algorithm === "naive" ? 3 : 2)
        return y
      })
      results.push(...outputs)
    }
    const plan = planPair(pair, { ranks: size })
    const inOrderOfRanks = runReference(
      plan.ranks.map((_, rank) => cutShard(plan, rank)),
      x,
      rows,
      f
    ).y
    for (const y of results) {
      expect(y).toEqual(inOrderOfRanks)
      expect(distance(y, expected)).toBeLessThan(3e-6)
    }
  })
})

it("random shapes, groups, ranks and orders: both algorithms give x W1 f W2 of the definition", () => {
  const next = random(7)
  for (let round = 0; round < 60; round++) {
    const ranks = between(next, 1, 5)
    const bits = pick(next, [4, 8] as const)
    const groupSize = 16 * between(next, 1, 3)
    const hidden = ranks * 16 * between(next, 1, 3)
    const [inputs, outputs, rows] = [8 * between(next, 2, 9), between(next, 1, 40), between(next, 1, 3)]
    const symmetric = next() < 0.5
    const order = next() < 0.8 ? shuffled(next, inputs) : undefined
    const options = { bits, symmetric, groupSize: Math.min(inputs, next() < 0.2 ? inputs : groupSize) }
    const isGated = next() < 0.5
    const first = Array.from({ length: isGated ? 2 : 1 }, () =>
      layer(next, inputs, hidden, { ...options, ...(order === undefined ? {} : { order }) })
    )
    const second = layer(next, hidden, outputs, {
      bits,
      symmetric,
      groupSize: Math.min(hidden, groupSize),
      order: shuffled(next, hidden)
    })
    const firstBias = first.map(() => (next() < 0.5 ? values(next, hidden) : undefined))
    const secondBias = values(next, outputs)
    const pair: LinearPair = { first, second, structure: { kind: "channels", channels: hidden }, firstBias, secondBias }
    const x = Float64Array.from(values(next, rows * inputs))
    const f = isGated ? gate("silu") : activate("gelu")
    const parts = first.map((linear, at) =>
      matmul(x, dense(linear), rows, inputs, hidden).map((value, i) => value + (firstBias[at]?.[i % hidden] ?? 0))
    )
    const y = matmul(f(parts), dense(second), rows, hidden, outputs).map(
      (value, i) => value + (secondBias[i % outputs] ?? 0)
    )
    for (const algorithm of ["naive", "aware"] as const) {
      const plan = planPair(pair, { ranks, algorithm })
      const run = runReference(
        plan.ranks.map((_, rank) => cutShard(plan, rank)),
        x,
        rows,
        f
      )
      expect(distance(run.y, y)).toBeLessThan(1e-12)
    }
  }
})

it("a row of a shard does what the layer's definition says, whatever part is cut", () => {
  const next = random(8)
  const linear = layer(next, 80, 24, { groupSize: 32, order: shuffled(next, 80) })
  const plan = planPair(
    { first: [linear], second: layer(next, 24, 8, { groupSize: 24 }), structure: { kind: "channels", channels: 24 } },
    { ranks: 1 }
  )
  const shard = cutShard(plan, 0)
  const unit = new Float64Array(80)
  for (let k = 0; k < 80; k++) {
    unit.fill(0)
    unit[orderOf(linear).indexOf(k)] = 1
    const first = shard.first[0]
    if (first === undefined) throw new Error("no first layer")
    expect([...product(first, unit, 1)]).toEqual([...dense(linear).subarray(k * 24, (k + 1) * 24)])
  }
})

it("codes that a short last block has no rows for equal the zero point", () => {
  const next = random(10)
  const linear = layer(next, 40, 3, { groupSize: 40 })
  const { packed, zeroPoints } = slice(linear, { rows: identity(40), columns: identity(3), blockSize: 32 })
  for (let n = 0; n < 3; n++) {
    const zero = (zeroPoints?.[n] ?? 0) >> 4
    expect(zero).toBe(linear.zeros?.[n])
    for (let i = 4; i < 16; i++) expect(packed[n * 32 + 16 + i]).toBe(zero * 17)
  }
  expect(() => slice(linear, { rows: identity(41), columns: identity(3), blockSize: 32 })).toThrow(RangeError)
  expect(() => slice(linear, { rows: identity(40), columns: Uint32Array.of(3), blockSize: 32 })).toThrow(RangeError)
  const fine = layer(next, 40, 3, { groupSize: 16 })
  expect(() => slice(fine, { rows: identity(40), columns: identity(3), blockSize: 32 })).toThrow(
    expect.objectContaining({ _tag: "PlanError", reason: "straddle" })
  )
})

describe("refusals", () => {
  const next = random(9)
  const [K, N, M] = [64, 96, 32]
  const up = layer(next, K, N, { groupSize: 32, name: "up" })
  const down = layer(next, N, M, { groupSize: 48, order: shuffled(next, N), name: "down" })
  const pair: LinearPair = { first: [up], second: down, structure: { kind: "channels", channels: N } }
  const refused = (reason: string, subject: string) => expect.objectContaining({ _tag: "PlanError", reason, subject })

  it("ranks that do not divide", () => {
    expect(() => planPair(pair, { ranks: 5 })).toThrow(refused("ranks", "structure"))
    expect(() => planPair(pair, { ranks: 0 })).toThrow(refused("ranks", "structure"))
    expect(() => planPair(pair, { ranks: Number.NaN })).toThrow(refused("ranks", "structure"))
  })

  it("groups that straddle shards: refused, split where exact, refused where no block fits", () => {
    expect(() => planPair(pair, { ranks: 3, straddle: "refuse" })).toThrow(refused("straddle", "down"))
    expect(planPair(pair, { ranks: 3 }).secondBlock).toBe(16)
    expect(planPair(pair, { ranks: 2, straddle: "refuse" }).secondBlock).toBe(32)
    const second = layer(next, N, M, { groupSize: 24, order: shuffled(next, N), name: "narrow" })
    expect(() => planPair({ ...pair, second }, { ranks: 2 })).toThrow(refused("straddle", "narrow"))
  })

  it("Llama-13B's 13.5 groups of 128 per rank run in blocks of 64", () => {
    const wide = {
      first: [layer(next, 16, 13824, { groupSize: 16 })],
      second: layer(next, 13824, 1, { groupSize: 128, order: shuffled(next, 13824) }),
      structure: { kind: "channels", channels: 13824 }
    } as const
    expect(planPair(wide, { ranks: 8 }).secondBlock).toBe(64)
    expect(planPair(wide, { ranks: 4 }).secondBlock).toBe(128)
    expect(() => planPair(wide, { ranks: 8, straddle: "refuse" })).toThrow(refused("straddle", "layer"))
  })

  it("group indices that no quantizer writes", () => {
    const uneven = Int32Array.from({ length: N }, (_, i) => (i < 40 ? 0 : 1))
    expect(() => planPair({ ...pair, second: { ...down, groupIndex: uneven } }, { ranks: 2 })).toThrow(
      refused("groups", "down")
    )
    const wild = new Int32Array(N).fill(7)
    expect(() => planPair({ ...pair, second: { ...down, groupIndex: wild } }, { ranks: 2 })).toThrow(
      refused("groups", "down")
    )
  })

  it("shapes that do not fit", () => {
    const short = { ...up, scales: up.scales.subarray(1) }
    expect(() => planPair({ ...pair, first: [short] }, { ranks: 2 })).toThrow(refused("shape", "up"))
    const zeros = down.zeros?.slice() ?? new Uint8Array()
    zeros[3] = 16
    expect(() => planPair({ ...pair, second: { ...down, zeros } }, { ranks: 2 })).toThrow(refused("shape", "down"))
    expect(() => planPair({ ...pair, second: up }, { ranks: 2 })).toThrow(refused("shape", "up"))
    expect(() => planPair({ ...pair, structure: { kind: "channels", channels: 48 } }, { ranks: 2 })).toThrow(
      refused("shape", "down")
    )
    expect(() => planPair({ ...pair, firstBias: [new Float32Array(95)] }, { ranks: 2 })).toThrow(refused("shape", "up"))
    expect(() => planPair({ ...pair, first: [] }, { ranks: 2 })).toThrow(refused("shape", "down"))
  })
})
