/**
 * The paper's two MLPs with real 4-bit kernels: traffic, compute time, and latency over an emulated link.
 * usage: node --import tsx --conditions=swarm-src bench/tp.ts [--alpha 10] [--rate 1] [--ranks 1,2,4,8]
 *
 * alpha: microseconds per message; rate: GB/s of each port. One layer pair at a time; of each number of ranks the shard of
 * rank 0 runs, alone on one thread. Latency is that of the emulated ranks' clocks: compute time, and every message of
 * the collectives. "as GPU" takes the compute time of the cost model's A100 (f16 weights) instead of this machine's.
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

/** The collectives of one pass on the emulated link, after `seconds` of work on each rank. */
const pass = async (shape: PairShape, size: number, rows: number, naive: boolean, seconds: number) => {
  const channels = emulatedChannels(size, () => link)
  const traffic = await Promise.all(
    channels.map(async (channel) => {
      const group = communicator(channel, { deadlineMs: 60_000 })
      channel.advance(seconds)
      if (naive) await allGather(group, new Float32Array(rows * shape.hidden), { codec: "f16" })
      await allReduce(group, new Float32Array(rows * shape.outputs), { codec: "f16" })
      return group.traffic()
    })
  )
  return {
    latency: Math.max(...channels.map((channel) => channel.now())),
    ...(traffic[0] ?? { bytes: 0, messages: 0 })
  }
}

const ms = (seconds: number) => (1e3 * seconds).toFixed(3)
console.log(`link: ${values.alpha} us, ${values.rate} GB/s; traffic per rank, f16 on the wire`)
console.log(
  "| model | ranks | M | bytes naive, aware | messages | compute ms | naive, aware ms | ratio | ratio as GPU | paper |"
)
console.log("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
for (const [model, shape] of Object.entries(publishedShapes)) {
  const pair = {
    first: [synthetic("up", shape.inputs, shape.hidden)],
    second: synthetic("down", shape.hidden, shape.outputs),
    structure: { kind: "channels", channels: shape.hidden }
  } as const
  for (const ranks of values.ranks.split(",").map(Number)) {
    const shard = cutShard(planPair(pair, { ranks, algorithm: "aware" }), 0)
    for (const rows of rowCounts) {
      const { kernel, end } = runtime(4)
      const seconds = await compute(shard, rows, kernel)
      await end()
      const gpu = pairCost(shape, { machine: machines.A100, algorithm: "aware", ranks, rows, weightBits: 16 }).compute
      const [naive, aware, naiveGpu, awareGpu] = await Promise.all([
        pass(shape, ranks, rows, true, seconds),
        pass(shape, ranks, rows, false, seconds),
        pass(shape, ranks, rows, true, gpu),
        pass(shape, ranks, rows, false, gpu)
      ])
      const paper = published.find((entry) => entry.gpu === "A100" && entry.model === model && entry.ranks === ranks)
      const cells = [
        `${naive.bytes}, ${aware.bytes}`,
        `${naive.messages}, ${aware.messages}`,
        ms(seconds),
        `${ms(naive.latency)}, ${ms(aware.latency)}`,
        (naive.latency / aware.latency).toFixed(2),
        (naiveGpu.latency / awareGpu.latency).toFixed(2),
        paper?.ratio ?? ""
      ]
      console.log(`| ${[model, ranks, rows, ...cells].join(" | ")} |`)
    }
  }
}
const { maxRSS } = process.resourceUsage()
console.log(`greatest memory: ${(maxRSS / 2 ** 20).toFixed(2)} GB`)
