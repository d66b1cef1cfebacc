/**
 * The paper's two MLPs with real 4-bit kernels: traffic, compute time, and latency over an emulated link.
 * usage: node --import tsx --conditions=swarm-src bench/tp.ts [--alpha 10] [--rate 1] [--ranks 1,2,4,8]
 *
 * alpha: microseconds per message; rate: GB/s of each port. One layer pair at a time; of each number of ranks the shard of
 * rank 0 runs, alone on one thread. Latency is that of the emulated ranks' clocks: compute time, and every message of
 * the collectives. The last columns take the paper's machine instead of this one: compute time, start of operations and
 * link of an A100 from its data sheet, then with the cost of a collective that makes the aware time the published one.
 * @module
 */
import { parseArgs } from "node:util"
import {
  activate,
  allGather,
  allReduce,
  communicator,
  cutShard,
  emulatedChannels,
  type GroupedLinear,
  identity,
  type Link,
  machines,
  type PairShape,
  type PairShard,
  pairCost,
  planPair,
  published,
  publishedShapes,
  takeColumns
} from "@swarm/tp-kernels"
import { runtime } from "../packages/tp-kernels/test/runtime.ts"

const { values } = parseArgs({
  options: {
    alpha: { type: "string", default: "10" },
    rate: { type: "string", default: "1" },
    ranks: { type: "string", default: "1,2,4,8" }
  }
})
const link = { latency: Number(values.alpha) * 1e-6, secondsPerByte: 1e-9 / Number(values.rate) }
const rowCounts = [1, 2, 4, 8, 16]
const GROUP = 128
const REPETITIONS = 5

/** Random codes and scales, symmetric, with act-order: groups spread over all rows. */
const synthetic = (name: string, inFeatures: number, outFeatures: number): GroupedLinear => {
  let state = inFeatures
  const next = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state
  }
  const codes = new Uint32Array((inFeatures / 8) * outFeatures)
  for (let i = 0; i < codes.length; i++) codes[i] = next() ^ (next() >>> 16)
  const scales = new Float32Array((inFeatures / GROUP) * outFeatures).fill(0.1 / Math.sqrt(inFeatures))
  const keys = Float64Array.from({ length: inFeatures }, next)
  const groupIndex = new Int32Array(inFeatures)
  identity(inFeatures)
    .sort((a, b) => (keys[a] ?? 0) - (keys[b] ?? 0))
    .forEach((row, at) => {
      groupIndex[row] = Math.floor(at / GROUP)
    })
  return { name, bits: 4, inFeatures, outFeatures, groupSize: GROUP, codes, scales, groupIndex }
}

/** Seconds of the median run of a rank, without messages. */
const compute = async (
  shard: PairShard,
  rows: number,
  kernel: ReturnType<typeof runtime>["kernel"]
): Promise<number> => {
  const [first, order] = [shard.first[0], shard.inputOrders[0]]
  if (first === undefined || order === undefined) throw new Error("no first layer")
  const x = Float32Array.from({ length: rows * first.inFeatures }, (_, i) => Math.sin(i))
  const times: Array<number> = []
  for (let at = 0; at <= REPETITIONS; at++) {
    const begin = performance.now()
    const hidden = activate("silu")([await kernel(first, takeColumns(x, rows, order), rows)])
    await kernel(shard.second, hidden, rows)
    if (at > 0) times.push(performance.now() - begin)
  }
  return (times.toSorted((a, b) => a - b)[Math.floor(REPETITIONS / 2)] ?? 0) / 1e3
}

/** A rank's processor and its links, for one pass. */
interface Platform {
  readonly link: Link
  /** Seconds of work, and of starting each operation and each collective. */
  readonly seconds: number
  readonly dispatch: number
  readonly collective: number
  readonly reduce: "direct" | "ring"
}

/** One pass on emulated ranks: their work, then the collectives message by message. */
const pass = async (shape: PairShape, size: number, rows: number, naive: boolean, on: Platform) => {
  const channels = emulatedChannels(size, () => on.link)
  const options = { codec: "f16", algorithm: on.reduce } as const
  const traffic = await Promise.all(
    channels.map(async (channel) => {
      const group = communicator(channel, { deadlineMs: 60_000 })
      const begin = () => channel.advance(size === 1 ? 0 : on.collective)
      // sort x, two products; naive: sort and cut the gathered features
      channel.advance(on.seconds + on.dispatch * (naive ? 5 : 3))
      if (naive) {
        begin()
        await allGather(group, new Float32Array(rows * shape.hidden), options)
      }
      begin()
      await allReduce(group, new Float32Array(rows * shape.outputs), options)
      return group.traffic()
    })
  )
  return {
    latency: Math.max(...channels.map((channel) => channel.now())),
    ...(traffic[0] ?? { bytes: 0, messages: 0 })
  }
}

/** Latencies of both algorithms. */
const both = async (shape: PairShape, ranks: number, rows: number, on: Platform) => {
  const [naive, aware] = await Promise.all([true, false].map((isNaive) => pass(shape, ranks, rows, isNaive, on)))
  if (naive === undefined || aware === undefined) throw new Error("two passes")
  return { naive, aware, ratio: naive.latency / aware.latency }
}

/** A machine of the cost model; f16 weights, as in the paper. */
const platform = (name: "A100" | "A100-as-published", shape: PairShape, ranks: number, rows: number): Platform => {
  const machine = machines[name]
  const seconds = pairCost(shape, { machine, algorithm: "aware", ranks, rows, weightBits: 16 }).compute
  return { ...machine, seconds, reduce: "ring" }
}

const ms = (seconds: number) => (1e3 * seconds).toFixed(3)
console.log(`link: ${values.alpha} us, ${values.rate} GB/s; traffic per rank, f16 on the wire`)
console.log(
  "| model | ranks | M | bytes naive, aware | messages | compute ms | naive, aware ms | ratio | A100 | fitted A100 |"
)
console.log("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
const summary: Array<string> = []
for (const [model, shape] of Object.entries(publishedShapes)) {
  const pair = {
    first: [synthetic("up", shape.inputs, shape.hidden)],
    second: synthetic("down", shape.hidden, shape.outputs),
    structure: { kind: "channels", channels: shape.hidden }
  } as const
  for (const ranks of values.ranks.split(",").map(Number)) {
    const shard = cutShard(planPair(pair, { ranks, algorithm: "aware" }), 0)
    const totals = { naive: 0, aware: 0, sheetNaive: 0, sheetAware: 0 }
    for (const rows of rowCounts) {
      const { kernel, end } = runtime(4)
      const seconds = await compute(shard, rows, kernel)
      await end()
      const here = await both(shape, ranks, rows, { link, seconds, dispatch: 0, collective: 0, reduce: "direct" })
      const sheet = await both(shape, ranks, rows, platform("A100", shape, ranks, rows))
      const fitted = await both(shape, ranks, rows, platform("A100-as-published", shape, ranks, rows))
      totals.naive += fitted.naive.latency
      totals.aware += fitted.aware.latency
      totals.sheetNaive += sheet.naive.latency
      totals.sheetAware += sheet.aware.latency
      const cells = [
        `${here.naive.bytes}, ${here.aware.bytes}`,
        `${here.naive.messages}, ${here.aware.messages}`,
        ms(seconds),
        `${ms(here.naive.latency)}, ${ms(here.aware.latency)}`,
        ...[here, sheet, fitted].map(({ ratio }) => ratio.toFixed(2))
      ]
      console.log(`| ${[model, ranks, rows, ...cells].join(" | ")} |`)
    }
    const paper = published.find((entry) => entry.gpu === "A100" && entry.model === model && entry.ranks === ranks)
    if (paper === undefined) continue
    const got = [totals.sheetNaive / totals.sheetAware, totals.naive / totals.aware]
    const [bySheet, byFit] = got.map((ratio) => `${ratio.toFixed(2)} (${(ratio - paper.ratio).toFixed(2)})`)
    const times = `${ms(totals.naive / rowCounts.length)}, ${ms(totals.aware / rowCounts.length)}`
    summary.push(
      `| ${model} | ${ranks} | ${bySheet} | ${byFit} | ${times} | ${paper.ratio} | ${paper.naive ?? ""}, ${paper.aware ?? ""} |`
    )
  }
}
console.log("\nMeans over M on emulated A100s, and the difference to the published ratio:")
console.log("| model | ranks | ratio by data sheet | fitted | naive, aware ms | published ratio | naive, aware ms |")
console.log("| --- | --- | --- | --- | --- | --- | --- |")
for (const line of summary) console.log(line)
const { maxRSS } = process.resourceUsage()
console.log(`greatest memory: ${(maxRSS / 2 ** 20).toFixed(2)} GB`)
