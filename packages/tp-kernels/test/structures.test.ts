/** Other layers than decoder MLPs as pairs: graph layers, convolutions, an encoder layer with messages. */
import { describe, expect, it } from "vitest"
import {
  activate,
  cutShard,
  type Floats,
  type LinearPair,
  planPair,
  runPair,
  runReference,
  type Structure
} from "../src/index.ts"
import { dense, distance, layer, matmul, random, shuffled, together, values } from "./fixture.ts"

/** Ranks hold whole channels, in an order that a random permutation of the second layer's rows keeps together. */
const wholeChannels = (seed: number, channels: number, copies: number, layout: "together" | "apart", ranks: number) => {
  const next = random(seed)
  const order = shuffled(next, channels)
  return Uint32Array.from(
    Array.from({ length: ranks }, (_, rank) => {
      const own = order.subarray((rank * channels) / ranks, ((rank + 1) * channels) / ranks)
      const features = [...own].flatMap((c) =>
        Array.from({ length: copies }, (_value, i) => (layout === "together" ? c * copies + i : i * channels + c))
      )
      return [...shuffled(next, features.length)].map((at) => features[at] ?? 0)
    }).flat()
  )
}

const relu = activate("relu")

describe("graph layers", () => {
  const next = random(1)
  const [nodes, inputs, channels, outputs] = [7, 32, 64, 12]
  /** Row-normalized adjacency with self loops. */
  const adjacency = Float64Array.from({ length: nodes * nodes }, (_, i) =>
    i % (nodes + 1) === 0 || next() < 0.4 ? 1 : 0
  )
  for (let v = 0; v < nodes; v++) {
    const row = adjacency.subarray(v * nodes, (v + 1) * nodes)
    const degree = row.reduce((a, b) => a + b, 0)
    row.forEach((value, u) => {
      row[u] = value / degree
    })
  }
  const propagate = (h: Floats): Float64Array => matmul(adjacency, h, nodes, nodes, h.length / nodes)
  const x = Float64Array.from(values(next, nodes * inputs))

  it("graph convolution: propagation mixes nodes, so any order of channels is folded", () => {
    const pair: LinearPair = {
      first: [layer(next, inputs, channels, { groupSize: 16, order: shuffled(next, inputs) })],
      second: layer(next, channels, outputs, { groupSize: 16, order: shuffled(next, channels) }),
      structure: { kind: "channels", channels }
    }
    const between = ([h]: ReadonlyArray<Float64Array>) => relu([propagate(h ?? x)])
    const [first] = pair.first
    if (first === undefined) throw new Error("no layer")
    const expected = matmul(
      between([matmul(x, dense(first), nodes, inputs, channels)]),
      dense(pair.second),
      nodes,
      channels,
      outputs
    )
    for (const ranks of [1, 2, 4]) {
      const plan = planPair(pair, { ranks })
      expect(plan.movement).toBe("folded")
      const shards = plan.ranks.map((_, rank) => cutShard(plan, rank))
      expect(distance(runReference(shards, x, nodes, between).y, expected)).toBeLessThan(1e-12)
    }
  })

  it.each([
    ["both halves of a channel on one rank", 2, "local"],
    ["anywhere", 2, "gather"]
  ] as const)("own features joined with the neighbours': %s", (where, ranks, movement) => {
    const order = where === "anywhere" ? shuffled(next, 2 * channels) : wholeChannels(3, channels, 2, "apart", ranks)
    const pair: LinearPair = {
      first: [layer(next, inputs, channels, { groupSize: 16 })],
      second: layer(next, 2 * channels, outputs, { groupSize: 16, order }),
      structure: { kind: "channels", channels, copies: 2, layout: "apart" }
    }
    const between = ([h = x]: ReadonlyArray<Float64Array>) => {
      const [width, far] = [h.length / nodes, propagate(h)]
      return Float64Array.from({ length: 2 * h.length }, (_, i) => {
        const [v, c] = [Math.floor(i / (2 * width)), i % (2 * width)]
        return (c < width ? h[v * width + c] : far[v * width + c - width]) ?? 0
      })
    }
    const [first] = pair.first
    if (first === undefined) throw new Error("no layer")
    const h = matmul(x, dense(first), nodes, inputs, channels)
    const expected = matmul(between([h]), dense(pair.second), nodes, 2 * channels, outputs)
    const plan = planPair(pair, { ranks })
    expect(plan.movement).toBe(movement)
    const shards = plan.ranks.map((_, rank) => cutShard(plan, rank))
    expect(distance(runReference(shards, x, nodes, between).y, expected)).toBeLessThan(1e-12)
  })
})

describe("two convolutions as matmuls", () => {
  const next = random(2)
  const [side, inputs, channels, outputs] = [4, 16, 32, 6]
  const pixels = side * side
  /** 3 x 3 patches with zero padding: (pixels, channels) -> (pixels, channels * 9). */
  const patches = (h: Floats): Float64Array => {
    const width = h.length / pixels
    return Float64Array.from({ length: h.length * 9 }, (_, i) => {
      const [pixel, c, tap] = [Math.floor(i / (9 * width)), Math.floor(i / 9) % width, i % 9]
      const row = Math.floor(pixel / side) + Math.floor(tap / 3) - 1
      const column = (pixel % side) + (tap % 3) - 1
      const inside = row >= 0 && row < side && column >= 0 && column < side
      return inside ? (h[(row * side + column) * width + c] ?? 0) : 0
    })
  }
  const x = Float64Array.from(values(next, pixels * inputs))
  const between = ([h = x]: ReadonlyArray<Float64Array>) => patches(relu([h]))
  const first = layer(next, inputs, channels, { groupSize: 16 })
  const bias = values(next, channels)

  it.each([
    ["in natural order", undefined, "folded"],
    ["whole channels on a rank", wholeChannels(5, channels, 9, "together", 2), "local"],
    ["anywhere", shuffled(next, 9 * channels), "gather"]
  ] as const)("patches %s", (_name, order, movement) => {
    const options = { groupSize: 48, ...(order === undefined ? {} : { order }) }
    const second = layer(next, 9 * channels, outputs, options)
    const structure: Structure = { kind: "channels", channels, copies: 9 }
    const plan = planPair({ first: [first], second, structure, firstBias: [bias] }, { ranks: 2 })
    expect(plan.movement).toBe(movement)
    const h = matmul(x, dense(first), pixels, inputs, channels).map((value, i) => value + (bias[i % channels] ?? 0))
    const expected = matmul(between([h]), dense(second), pixels, 9 * channels, outputs)
    const shards = plan.ranks.map((_, rank) => cutShard(plan, rank))
    expect(distance(runReference(shards, x, pixels, between).y, expected)).toBeLessThan(1e-12)
  })
})

describe("an encoder layer of BERT over messages", () => {
  const next = random(6)
  const [tokens, width, heads, headDim, wide] = [5, 64, 4, 16, 128]
  const project = (inFeatures: number, outFeatures: number, order: Uint32Array) =>
    layer(next, inFeatures, outFeatures, { groupSize: 16, order })
  const shared = shuffled(next, width)
  const attention: LinearPair = {
    first: [0, 1, 2].map(() => project(width, width, shared)),
    second: project(
      width,
      width,
      Uint32Array.from({ length: width }, (_, i) => (i + 2 * headDim) % width)
    ),
    structure: { kind: "heads", heads, kvHeads: heads, headDim },
    firstBias: [0, 1, 2].map(() => values(next, width)),
    secondBias: values(next, width)
  }
  const mlp: LinearPair = {
    first: [project(width, wide, shuffled(next, width))],
    second: project(wide, width, shuffled(next, wide)),
    structure: { kind: "channels", channels: wide },
    firstBias: [values(next, wide)],
    secondBias: values(next, width)
  }
  const attend = <A extends Floats>([q, k, v]: ReadonlyArray<A>): A => {
    if (q === undefined || k === undefined || v === undefined) throw new Error("not three parts")
    const out = q.slice()
    const own = q.length / tokens
    for (let h = 0; h < own / headDim; h++) {
      for (let t = 0; t < tokens; t++) {
        const at = (x: A, token: number, c: number) => x[token * own + h * headDim + c] ?? 0
        const channels = Array.from({ length: headDim }, (_, c) => c)
        const scores = Array.from({ length: tokens }, (_, s) =>
          Math.exp(channels.reduce((sum, c) => sum + at(q, t, c) * at(k, s, c), 0) / 4)
        )
        const total = scores.reduce((a, b) => a + b, 0)
        for (const c of channels) {
          out[t * own + h * headDim + c] = scores.reduce((sum, score, s) => sum + (score / total) * at(v, s, c), 0)
        }
      }
    }
    return out as A
  }
  /** Residual, then layer norm: replicated, so that every rank does it alike. */
  const addAndNorm = <A extends Floats>(x: A, y: A): A => {
    const out = x.map((value, i) => value + (y[i] ?? 0)) as A
    for (let t = 0; t < tokens; t++) {
      const row = out.subarray(t * width, (t + 1) * width)
      const mean = Array.from(row).reduce((a, b) => a + b, 0) / width
      const variance = Array.from(row).reduce((sum, value) => sum + (value - mean) ** 2, 0) / width
      row.forEach((value, i) => {
        row[i] = (value - mean) / Math.sqrt(variance + 1e-12)
      })
    }
    return out
  }
  const wholePair = (pair: LinearPair, x: Float64Array, f: (parts: ReadonlyArray<Float64Array>) => Float64Array) => {
    const add = (y: Float64Array, bias: Float32Array | undefined) =>
      y.map((value, i) => value + (bias?.[i % (bias?.length ?? 1)] ?? 0))
    const parts = pair.first.map((linear, at) =>
      add(matmul(x, dense(linear), tokens, linear.inFeatures, linear.outFeatures), pair.firstBias?.[at])
    )
    const { inFeatures, outFeatures } = pair.second
    return add(matmul(f(parts), dense(pair.second), tokens, inFeatures, outFeatures), pair.secondBias)
  }

  it.each([1, 2, 4])("%i ranks: two sums a layer, nothing gathered", async (ranks) => {
    const x = values(next, tokens * width)
    const gelu = activate("gelu")
    const first = addAndNorm(Float64Array.from(x), wholePair(attention, Float64Array.from(x), attend))
    const expected = addAndNorm(first, wholePair(mlp, first, gelu))
    const plans = [planPair(attention, { ranks }), planPair(mlp, { ranks })] as const
    expect(plans.map(({ movement }) => movement)).toEqual(["folded", "folded"])
    const outputs = await together(ranks, async (group) => {
      const [a, b] = plans.map((plan) => cutShard(plan, group.rank))
      if (a === undefined || b === undefined) throw new Error("no shards")
      const middle = addAndNorm(x, await runPair(a, x, tokens, { group, between: attend }))
      const y = addAndNorm(middle, await runPair(b, middle, tokens, { group, between: gelu }))
      expect(group.traffic().steps).toBe(ranks === 1 ? 0 : 4)
      expect(group.traffic().bytes).toBe((2 * 2 * (ranks - 1) * 4 * tokens * width) / ranks)
      return y
    })
    for (const y of outputs) {
      expect(y).toEqual(outputs[0])
      expect(distance(y, expected)).toBeLessThan(1e-5)
    }
  })
})
