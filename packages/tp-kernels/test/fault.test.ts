/** Ranks that die, stall, or speak another language: a typed fault on all others, never a hang. */
import { describe, expect, it } from "vitest"
import { type Algorithm, allReduce, communicator, memoryChannels, RankLost, subgroup } from "../src/index.ts"

const algorithms: ReadonlyArray<Algorithm> = ["direct", "ring", "tree", "hierarchical"]
const ones = () => new Float32Array(64).fill(1)

describe.each(algorithms)("%s", (algorithm) => {
  it.each([2, 3, 5, 8])("%i ranks, one closes: all others know which", async (size) => {
    for (let victim = 0; victim < size; victim++) {
      const { channels, kill } = memoryChannels(size)
      kill(victim, true)
      const survivors = channels.filter(({ rank }) => rank !== victim)
      const faults = await Promise.all(
        survivors.map((channel) =>
          allReduce(communicator(channel), ones(), { algorithm }).then(String, (fault) => fault)
        )
      )
      for (const fault of faults) expect(fault).toMatchObject({ _tag: "RankLost", rank: victim })
    }
  })

  it("a silent rank: every other fails within its deadline, and stays failed", async () => {
    const { channels, kill } = memoryChannels(4)
    kill(2, false)
    const groups = channels.filter(({ rank }) => rank !== 2).map((channel) => communicator(channel, { deadlineMs: 30 }))
    for (const result of await Promise.allSettled(groups.map((group) => allReduce(group, ones(), { algorithm })))) {
      expect(result).toMatchObject({ status: "rejected", reason: { _tag: "RankLost" } })
    }
    for (const group of groups) {
      expect(group.lost()).toBeInstanceOf(RankLost)
      await expect(allReduce(group, ones())).rejects.toBe(group.lost())
    }
  })
})

it("survivors go on in a group of another generation; what is left of the old one is dropped", async () => {
  const { channels, kill } = memoryChannels(4)
  const groups = channels.map((channel) => communicator(channel, { deadlineMs: 1000 }))
  await Promise.all(groups.map((group) => allReduce(group, ones())))
  kill(1, true)
  const faults = await Promise.allSettled(
    groups.filter(({ rank }) => rank !== 1).map((group) => allReduce(group, ones()))
  )
  for (const fault of faults) expect(fault).toMatchObject({ reason: { rank: 1 } })
  const sums = await Promise.all(
    [0, 2, 3].map((rank) => {
      const channel = channels[rank]
      if (channel === undefined) throw new Error("no channel")
      const group = communicator(subgroup(channel, [0, 2, 3]), { generation: 1 })
      return allReduce(group, ones(), { algorithm: "ring" })
    })
  )
  for (const sum of sums) expect(sum).toEqual(new Float32Array(64).fill(3))
})

it("a survivor that is first in the new group waits for the others there", async () => {
  const { channels, kill } = memoryChannels(3)
  kill(1, true)
  const runs = [0, 2].map(async (rank, at) => {
    const channel = channels[rank]
    if (channel === undefined) throw new Error("no channel")
    await expect(allReduce(communicator(channel), ones(), { algorithm: "ring" })).rejects.toMatchObject({ rank: 1 })
    if (at === 1) await new Promise((resolve) => setTimeout(resolve, 20))
    return allReduce(communicator(subgroup(channel, [0, 2]), { generation: 1 }), ones())
  })
  for (const sum of await Promise.all(runs)) expect(sum).toEqual(new Float32Array(64).fill(2))
})

it("ranks that run different plans are told apart", async () => {
  const { channels } = memoryChannels(3)
  const runs = channels.map((channel) =>
    allReduce(communicator(channel, { deadlineMs: 100 }), new Float32Array(channel.rank === 1 ? 60 : 66))
  )
  for (const result of await Promise.allSettled(runs)) {
    expect(result).toMatchObject({ status: "rejected", reason: { _tag: "RankLost" } })
  }
})

it.each([
  ["short", new Uint8Array(3)],
  ["no payload", Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0)],
  ["unknown tag", new Uint8Array(8 + 128).fill(1, 0, 1).fill(9, 1, 2)],
  ["wrong number", new Uint8Array(8 + 128).fill(1, 0, 1).fill(9, 4, 5)],
  ["unknown kind", new Uint8Array(8 + 128).fill(7, 0, 1)]
])("a hostile message (%s) is a desync", async (_name, bytes) => {
  const [mine, theirs] = memoryChannels(2).channels
  if (mine === undefined || theirs === undefined) throw new Error("no channels")
  await theirs.send(0, bytes)
  await expect(allReduce(communicator(mine, { deadlineMs: 100 }), ones())).rejects.toMatchObject({
    _tag: "RankLost",
    rank: 1,
    reason: "desync"
  })
})

it("a collective that fails on one rank for its own reasons ends the others' wait", async () => {
  const groups = memoryChannels(3).channels.map((channel) => communicator(channel))
  const runs = groups.map((group) =>
    group.rank === 1
      ? group.exclusive(() => Promise.reject(new TypeError("broken")))
      : allReduce(group, ones(), { algorithm: "ring" })
  )
  const [first, second, third] = await Promise.allSettled(runs)
  expect(second).toMatchObject({ reason: { message: "broken" } })
  for (const result of [first, third]) expect(result).toMatchObject({ reason: { _tag: "RankLost", rank: 1 } })
})

it("groups of ranks that are none are refused", () => {
  const [channel] = memoryChannels(3).channels
  if (channel === undefined) throw new Error("no channel")
  for (const generation of [-1, 65536, 0.5]) expect(() => communicator(channel, { generation })).toThrow(RangeError)
  for (const members of [[1, 2], [0, 0], [0, 3], []]) expect(() => subgroup(channel, members)).toThrow(RangeError)
})
