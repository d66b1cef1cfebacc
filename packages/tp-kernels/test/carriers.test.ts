/** Links with a clock, and threads. */
import { once } from "node:events"
import { type MessagePort, Worker } from "node:worker_threads"
import { describe, expect, it } from "vitest"
import {
  type AllReduceAlgorithm,
  allReduce,
  allReduceSchedule,
  communicator,
  emulatedChannels,
  type Link,
  portChannel,
  portMesh,
  predictTime,
  predictTraffic
} from "../src/index.ts"

const HEADER_BYTES = 8
const fast: Link = { latency: 2e-6, secondsPerByte: 1 / 10e9 }
const slow: Link = { latency: 50e-6, secondsPerByte: 1 / 125e6 }

/** Seconds on the latest rank's clock. */
const measure = async (
  size: number,
  length: number,
  link: (from: number, to: number) => Link,
  options: { readonly algorithm: AllReduceAlgorithm; readonly nodeSize?: number }
): Promise<number> => {
  const channels = emulatedChannels(size, link)
  await Promise.all(
    channels.map((channel) => allReduce(communicator(channel), new Float32Array(length).fill(1), options))
  )
  return Math.max(...channels.map((channel) => channel.now()))
}

describe("emulated links", () => {
  it.each(["direct", "ring", "tree", "one-shot"] as const)("%s takes the time of the textbook", async (algorithm) => {
    const [size, length] = [8, 80_000]
    const n = 4 * length
    const { latency: alpha, secondsPerByte: beta } = slow
    const share = (n * (size - 1) * beta) / size
    const expected = {
      direct: 2 * alpha + 2 * share,
      ring: 2 * (size - 1) * alpha + 2 * share,
      tree: 2 * Math.log2(size) * alpha + 2 * share,
      "one-shot": alpha + (size - 1) * n * beta
    }[algorithm]
    expect((await measure(size, length, () => slow, { algorithm })) / expected).toBeCloseTo(1, 2)
  })

  it("two nodes of two ranks: hierarchical beats the flat ring by the modelled factor", async () => {
    const link = (from: number, to: number) => (from >> 1 === to >> 1 ? fast : slow)
    for (const length of [256, 8192, 262_144]) {
      const model = (algorithm: AllReduceAlgorithm, nodeSize: number) => {
        const schedules = [0, 1, 2, 3].map((rank) => allReduceSchedule(algorithm, { size: 4, length, nodeSize }, rank))
        return predictTime(schedules, link, { headerBytes: HEADER_BYTES })
      }
      const ring = await measure(4, length, link, { algorithm: "ring" })
      const nodes = await measure(4, length, link, { algorithm: "hierarchical", nodeSize: 2 })
      expect(ring / model("ring", 4)).toBeCloseTo(1, 9)
      expect(nodes / model("hierarchical", 2)).toBeCloseTo(1, 9)
      // Across the slow link the ring moves 2 (p-1)/p of the vector, the nodes 1/2 each way twice.
      expect(ring / nodes).toBeGreaterThan(1.4)
    }
    const n = 4 * 262_144
    const closedForm = (6 * n * slow.secondsPerByte) / 4 / (2 * (n / 4) * slow.secondsPerByte + n * fast.secondsPerByte)
    const ratio =
      (await measure(4, 262_144, link, { algorithm: "ring" })) /
      (await measure(4, 262_144, link, { algorithm: "hierarchical", nodeSize: 2 }))
    expect(Math.abs(ratio / closedForm - 1)).toBeLessThan(0.15)
  })

  it("work between collectives moves a rank's clock", async () => {
    const channels = emulatedChannels(2, () => fast)
    channels[0]?.advance(1)
    await Promise.all(channels.map((channel) => allReduce(communicator(channel), new Float32Array(4))))
    for (const channel of channels) expect(channel.now()).toBeCloseTo(1, 3)
  })
})

it("schedules that do not belong together have no time", () => {
  const schedules = [0, 1].map((rank) => allReduceSchedule("ring", { size: 3, length: 9 }, rank))
  expect(() => predictTime(schedules, () => fast)).toThrow(RangeError)
  expect(predictTraffic([])).toEqual({ bytes: 0, messages: 0, steps: 0 })
})

/** Runs `rank.ts` from its sources in a thread. */
const start = (rank: number, ports: ReadonlyArray<MessagePort | undefined>): Worker => {
  const file = JSON.stringify(new URL("./rank.ts", import.meta.url).href)
  const script = `import("tsx/esm/api").then(({ register }) => (register(), import(${file})))`
  const transferList = ports.filter((port) => port !== undefined)
  return new Worker(script, {
    eval: true,
    execArgv: ["--conditions=swarm-src"],
    workerData: { rank, ports },
    transferList
  })
}

describe("threads", () => {
  it("ports carry a group's messages", async () => {
    const channels = portMesh(3).map((ports, rank) => portChannel(rank, ports))
    const sums = await Promise.all(
      channels.map(async (channel) => {
        const group = communicator(channel)
        for (let round = 0; round < 20; round++) await allReduce(group, new Float32Array(10), { algorithm: "ring" })
        return allReduce(group, new Float32Array(10).fill(1 + channel.rank))
      })
    )
    for (const channel of channels) channel.close()
    for (const sum of sums) expect(sum).toEqual(new Float32Array(10).fill(6))
  })

  it("threads sum, and the end of one is a fault on the others", async () => {
    const [mine, ...theirs] = portMesh(3)
    if (mine === undefined) throw new Error("no ports")
    const workers = theirs.map((ports, at) => start(at + 1, ports))
    const ended = Promise.all(workers.map((worker) => once(worker, "exit")))
    const channel = portChannel(0, mine)
    const group = communicator(channel)
    for (let round = 0; round < 5; round++) {
      const sum = await allReduce(group, new Float32Array(1000).fill(1), { algorithm: "ring" })
      expect(sum).toEqual(new Float32Array(1000).fill(6))
    }
    await workers[1]?.terminate()
    await expect(allReduce(group, new Float32Array(1000), { algorithm: "ring" })).rejects.toMatchObject({
      _tag: "RankLost",
      rank: 2
    })
    // The other thread ends by itself, on its own fault.
    await ended
    channel.close()
  })
})
