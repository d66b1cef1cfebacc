/** Which orders of the output projection's rows the values can follow: the planner against dense attention. */
import { describe, expect, it } from "vitest"
import {
  type Between,
  cutShard,
  type Floats,
  type GroupedLinear,
  groupAwareOrder,
  headOrder,
  hiddenFeatures,
  type LinearPair,
  orderOf,
  type PairPlan,
  partFor,
  planPair,
  runReference
} from "../src/index.ts"
import { dense, distance, layer, matmul, random, shuffled, values } from "./fixture.ts"

/** Scaled dot-product attention, query head h with key head floor(h / (heads / keyHeads)); all (tokens, features). */
const attend = (
  q: Floats,
  k: Floats,
  v: Floats,
  sizes: { tokens: number; sources: number; headDim: number }
): Float64Array => {
  const { tokens, sources, headDim: d } = sizes
  const [heads, keyHeads] = [q.length / tokens / d, k.length / sources / d]
  const out = new Float64Array(q.length)
  for (let h = 0; h < heads; h++) {
    const g = Math.floor((h * keyHeads) / heads)
    for (let t = 0; t < tokens; t++) {
      const scores = Float64Array.from({ length: sources }, (_, s) => {
        let sum = 0
        for (let c = 0; c < d; c++) {
          sum += (q[(t * heads + h) * d + c] ?? 0) * (k[(s * keyHeads + g) * d + c] ?? 0)
        }
        return Math.exp(sum / Math.sqrt(d))
      })
      const total = scores.reduce((a, b) => a + b, 0)
      for (let c = 0; c < d; c++) {
        out[(t * heads + h) * d + c] = scores.reduce(
          (sum, score, s) => sum + (score / total) * (v[(s * keyHeads + g) * d + c] ?? 0),
          0
        )
      }
    }
  }
  return out
}

const attention =
  (tokens: number, headDim: number): Between<Float64Array> =>
  ([q, k, v]) => {
    if (q === undefined || k === undefined || v === undefined) throw new Error("not three parts")
    return attend(q, k, v, { tokens, sources: tokens, headDim })
  }

interface Layout {
  readonly heads: number
  readonly kvHeads: number
  readonly headDim: number
}

const inputs = 32
const outputs = 24

const pairOf = (seed: number, layout: Layout, order: Uint32Array, groupSize = 16): LinearPair => {
  const next = random(seed)
  const { heads, kvHeads, headDim } = layout
  const shared = { groupSize: 16, order: shuffled(next, inputs) }
  const project = (count: number): GroupedLinear => layer(next, inputs, count * headDim, shared)
  return {
    first: [project(heads), project(kvHeads), project(kvHeads)],
    second: layer(next, heads * headDim, outputs, { groupSize, order, name: "o" }),
    structure: { kind: "heads", ...layout },
    firstBias: [heads, kvHeads, kvHeads].map((count) => values(next, count * headDim)),
    secondBias: values(next, outputs)
  }
}

/** The definition, in f64 without any plan. */
const whole = (pair: LinearPair, x: Float64Array, tokens: number, headDim: number): Float64Array => {
  const parts = pair.first.map((linear, at) =>
    matmul(x, dense(linear), tokens, inputs, linear.outFeatures).map(
      (value, i) => value + (pair.firstBias?.[at]?.[i % linear.outFeatures] ?? 0)
    )
  )
  const mixed = attention(tokens, headDim)(parts, tokens)
  return matmul(mixed, dense(pair.second), tokens, pair.second.inFeatures, outputs).map(
    (value, i) => value + (pair.secondBias?.[i % outputs] ?? 0)
  )
}

const run = (plan: PairPlan, x: Float64Array, tokens: number, headDim: number) =>
  runReference(
    plan.ranks.map((_, rank) => cutShard(plan, rank)),
    x,
    tokens,
    attention(tokens, headDim)
  ).y

/** An order that keeps heads whole: heads in any order that keeps key groups together, one inner order per key head. */
const followable = (seed: number, { heads, kvHeads, headDim }: Layout): Uint32Array => {
  const next = random(seed)
  const perGroup = heads / kvHeads
  return Uint32Array.from(
    [...shuffled(next, kvHeads)].flatMap((group) => {
      const inner = shuffled(next, headDim)
      return [...shuffled(next, perGroup)].flatMap((member) =>
        Array.from(inner, (channel) => (group * perGroup + member) * headDim + channel)
      )
    })
  )
}

const layouts = [
  ["multi-head", { heads: 4, kvHeads: 4, headDim: 32 }],
  ["grouped", { heads: 8, kvHeads: 2, headDim: 32 }],
  ["grouped by two", { heads: 8, kvHeads: 4, headDim: 32 }],
  ["multi-query", { heads: 4, kvHeads: 1, headDim: 32 }]
] as const

describe.each(layouts)("%s", (_name, layout) => {
  const width = hiddenFeatures({ kind: "heads", ...layout })
  const tokens = 3
  const x = Float64Array.from(values(random(2), tokens * inputs))

  it.each([1, 2, 4])("%i ranks: one order per key head is folded; the others move what they must", (ranks) => {
    const next = random(ranks)
    const groups = followable(ranks, layout)
    // Inner orders of the first head only, then channels across the heads of a rank, then across ranks.
    const inner = groups.slice()
    inner.subarray(0, layout.headDim).reverse()
    const rankWise = Uint32Array.from(
      Array.from({ length: ranks }, (_, rank) => {
        const own = groups.subarray((rank * width) / ranks, ((rank + 1) * width) / ranks)
        return [...shuffled(next, own.length)].map((at) => own[at] ?? 0)
      }).flat()
    )
    const shared = layout.heads / layout.kvHeads > 1 && layout.heads / ranks > 1
    const cases = [
      [groups, "folded"],
      [inner, shared ? "local" : "folded"],
      [rankWise, layout.heads / ranks > 1 ? "local" : "folded"],
      [shuffled(next, width), ranks === 1 ? "local" : "gather"]
    ] as const
    for (const [order, movement] of cases) {
      const pair = pairOf(ranks, layout, order)
      const plan = planPair(pair, { ranks })
      expect(plan.hiddenOrder).toEqual(orderOf(pair.second))
      expect(distance(run(plan, x, tokens, layout.headDim), whole(pair, x, tokens, layout.headDim))).toBeLessThan(1e-12)
      expect(
        distance(
          run(planPair(pair, { ranks, algorithm: "naive" }), x, tokens, layout.headDim),
          whole(pair, x, tokens, layout.headDim)
        )
      ).toBeLessThan(1e-12)
      expect(plan.movement).toBe(movement)
      if (movement === "gather") {
        expect(plan.reason).toMatch(/heads/)
        const aware = expect.objectContaining({ _tag: "PlanError", reason: "commute" })
        expect(() => planPair(pair, { ranks, algorithm: "aware" })).toThrow(aware)
      }
    }
  })

  it("orders made for it, and group-aware ones, are folded at any number of ranks", () => {
    const next = random(31)
    const importance = Float32Array.from({ length: width }, next)
    const input = { weights: values(next, width * 2), inFeatures: width, outFeatures: 2, groupSize: 4, importance }
    const constrained = headOrder(layout)(input)
    for (const ranks of [1, 2, 4]) {
      expect(partFor({ kind: "heads", ...layout }, constrained.subarray(0, width / ranks)).produced).toEqual(
        constrained.subarray(0, width / ranks)
      )
      const natural = { ...pairOf(1, layout, groupAwareOrder({ ...input, groupSize: 16 })).second }
      const { groupIndex: _, ...second } = natural
      const pair = { ...pairOf(1, layout, shuffled(next, width)), second }
      expect(planPair(pair, { ranks }).movement).toBe("folded")
    }
  })
})

describe("against all ways to arrange the values", () => {
  /**
   * Whether any order of heads, and of channels inside each key head, gives attention outputs in order P: by arranging
   * the outputs of dense attention, not by looking at P.
   */
  const permutations = (items: ReadonlyArray<number>): ReadonlyArray<ReadonlyArray<number>> =>
    items.length === 0
      ? [[]]
      : items.flatMap((item) => permutations(items.filter((other) => other !== item)).map((rest) => [item, ...rest]))

  it.each([
    ["multi-query", { heads: 2, kvHeads: 1, headDim: 2 }],
    ["multi-head", { heads: 2, kvHeads: 2, headDim: 2 }]
  ] as const)("%s: all 24 orders of four channels", (_name, layout) => {
    const { heads, kvHeads, headDim } = layout
    const next = random(4)
    const tokens = 3
    const [q, k, v] = [heads, kvHeads, kvHeads].map((count) => values(next, tokens * count * headDim))
    if (q === undefined || k === undefined || v === undefined) throw new Error("no parts")
    const sizes = { tokens, sources: tokens, headDim }
    const take = (x: Floats, order: ReadonlyArray<number>) =>
      Float64Array.from({ length: tokens * order.length }, (_, i) => {
        const width = x.length / tokens
        return x[Math.floor(i / order.length) * width + (order[i % order.length] ?? 0)] ?? 0
      })
    const plain = attend(q, k, v, sizes)
    const whole = (of: ReadonlyArray<number>) => of.flatMap((head) => [head * headDim, head * headDim + 1])
    const inners = permutations([0, 1])
    const arranged = permutations([0, 1]).flatMap((queryHeads) => {
      const keyHeads = [...new Set(queryHeads.map((head) => Math.floor((head * kvHeads) / heads)))]
      const choices = keyHeads.reduce<ReadonlyArray<ReadonlyArray<number>>>(
        (all, head) =>
          all.flatMap((so) => inners.map((inner) => [...so, ...inner.map((channel) => head * headDim + channel)])),
        [[]]
      )
      return choices.map((columns) =>
        attend(take(q, whole(queryHeads)), take(k, whole(keyHeads)), take(v, columns), sizes)
      )
    })
    let folded = 0
    for (const order of permutations([0, 1, 2, 3])) {
      const wanted = take(plain, order)
      const possible = arranged.some((out) => distance(out, wanted) < 1e-9)
      const part = partFor({ kind: "heads", ...layout }, Uint32Array.from(order))
      expect(part.produced.every((feature, i) => feature === order[i])).toBe(possible)
      folded += Number(possible)
    }
    expect(folded).toBe(kvHeads === 1 ? 4 : 8)
  })
})

it("cross attention: keys and values of other tokens follow alike", () => {
  const layout = { heads: 4, kvHeads: 2, headDim: 16 }
  const next = random(17)
  const [tokens, sources] = [2, 5]
  const memory = Float64Array.from(values(next, sources * 64))
  const order = followable(3, layout)
  // The source's own projections, at the rank that holds their key heads.
  const kv = [layer(next, 64, 32, { groupSize: 32 }), layer(next, 64, 32, { groupSize: 32 })]
  const pair = pairOf(5, layout, order)
  const x: Float64Array = Float64Array.from(values(next, tokens * inputs))
  const full = kv.map((linear) => matmul(memory, dense(linear), sources, 64, 32))
  const query = pair.first[0]
  if (query === undefined) throw new Error("no query")
  const bias = pair.firstBias?.[0]
  const q = matmul(x, dense(query), tokens, inputs, 64).map((value, i) => value + (bias?.[i % 64] ?? 0))
  const mixed = attend(q, full[0] ?? q, full[1] ?? q, { tokens, sources, headDim: 16 })
  const expected = matmul(mixed, dense(pair.second), tokens, 64, outputs).map(
    (value, i) => value + (pair.secondBias?.[i % outputs] ?? 0)
  )
  for (const ranks of [1, 2]) {
    const plan = planPair(pair, { ranks })
    const shards = plan.ranks.map((_, rank) => cutShard(plan, rank))
    let rank = 0
    const { y } = runReference(shards, x, tokens, ([queries]) => {
      const [, keys, columns] = plan.ranks[rank++]?.columns ?? []
      const cut = (whole: Float64Array | undefined, order: Uint32Array | undefined) =>
        Float64Array.from({ length: sources * (order?.length ?? 0) }, (_, i) => {
          const width = order?.length ?? 1
          return whole?.[Math.floor(i / width) * 32 + (order?.[i % width] ?? 0)] ?? 0
        })
      return attend(queries ?? q, cut(full[0], keys), cut(full[1], columns), { tokens, sources, headDim: 16 })
    })
    expect(distance(y, expected)).toBeLessThan(1e-12)
  }
})

it("heads that do not divide are refused", () => {
  const refused = expect.objectContaining({ _tag: "PlanError", reason: "ranks" })
  const next = random(1)
  const layout = { heads: 12, kvHeads: 3, headDim: 16 }
  const pair = pairOf(1, layout, shuffled(next, 192))
  expect(() => planPair(pair, { ranks: 5 })).toThrow(refused)
  // 3 key heads on 2 ranks: one would be needed half here, half there.
  expect(() => planPair(pair, { ranks: 2 })).toThrow(refused)
  expect(planPair(pair, { ranks: 3 }).ranks.map(({ columns }) => columns[1]?.length)).toEqual([16, 16, 16])
  // More ranks than key heads: repeated.
  expect(planPair(pair, { ranks: 6 }).ranks.map(({ columns }) => columns[1]?.[0])).toEqual([0, 0, 16, 16, 32, 32])
  const bad = { ...pair, structure: { kind: "heads", heads: 12, kvHeads: 5, headDim: 16 } } as const
  expect(() => planPair(bad, { ranks: 1 })).toThrow(expect.objectContaining({ reason: "shape" }))
})

it("key heads that would serve unlike numbers of query heads on a rank are not followed", () => {
  const layout = { heads: 6, kvHeads: 2, headDim: 16 }
  const order = Uint32Array.from(
    [0, 1, 3, 2, 4, 5].flatMap((head) => Array.from({ length: 16 }, (_, c) => head * 16 + c))
  )
  const commute = expect.objectContaining({ reason: "commute", detail: expect.stringContaining("2, 1 query heads") })
  expect(() => planPair(pairOf(1, layout, order), { ranks: 2, algorithm: "aware" })).toThrow(commute)
  expect(planPair(pairOf(1, layout, order), { ranks: 2 }).movement).toBe("gather")
})
