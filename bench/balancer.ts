/**
 * How good are placements? Bottlenecks of simulated swarms: joined by PETALS' rule, rebalanced by it, and improved.
 *
 * Servers of L/16 to L/4 blocks at 0.8 to 9.6 tokens per second (evenly on a logarithmic scale; `--uniform`: evenly) join one after the other.
 * Qualities are bottlenecks over the even bound, means over the trials; the bound is not reachable.
 * @module
 */
import { parseArgs } from "node:util"
import {
  blockRates,
  bottleneck,
  chainSeconds,
  evenBound,
  improve,
  improveRegional,
  joinBlocks,
  joinRegional,
  type Placed,
  rebalance,
  seeded
} from "@swarm/balancer"

const { values } = parseArgs({ options: { trials: { type: "string" }, uniform: { type: "boolean" } } })
const trials = Number(values.trials ?? 40)

/** What a run of Petals' own code reached on swarms of this kind; its distribution within the ranges is not known. */
const published = [
  { blocks: 24, servers: 12, joined: 0.42, rebalanced: 0.51, moves: 2.1 },
  { blocks: 80, servers: 20, joined: 0.6, rebalanced: 0.66, moves: 1.6 },
  { blocks: 80, servers: 60, joined: 0.82, rebalanced: 0.82, moves: 0 }
]

type Join = (placed: ReadonlyArray<Placed>, blocks: number, count: number, region: string) => Placed["blocks"]

const swarmOf = (blocks: number, servers: number, random: () => number, join: Join): ReadonlyArray<Placed> => {
  const least = Math.max(1, Math.floor(blocks / 16))
  const placed: Array<Placed> = []
  for (let i = 0; i < servers; i++) {
    const count = least + Math.floor(random() * (Math.floor(blocks / 4) - least + 1))
    const rate = values.uniform === true ? 0.8 + 8.8 * random() : 0.8 * 12 ** random()
    const region = random() < 0.5 ? "eu" : "us"
    const peer = `server-${String(i).padStart(3, "0")}`
    placed.push({ peer, blocks: join(placed, blocks, count, region), rate, region })
  }
  return placed
}

/** Everybody asks in turn whether to move, until a whole turn passes without a move. */
const rebalanced = (start: ReadonlyArray<Placed>, blocks: number, random: () => number) => {
  let placed = start
  let moves = 0
  for (let turn = 0, moved = true; moved && turn < 20; turn++) {
    moved = false
    for (const { peer } of placed) {
      const { move } = rebalance(peer, placed, blocks, { random })
      if (move === undefined) continue
      placed = placed.map((server) => (server.peer === peer ? { ...server, blocks: move } : server))
      moves++
      moved = true
    }
  }
  return { placed, moves }
}

const quality = (placed: ReadonlyArray<Placed>, blocks: number): number =>
  bottleneck(blockRates(placed, blocks)) / evenBound(placed, blocks)

const means = (rows: ReadonlyArray<ReadonlyArray<number>>): ReadonlyArray<number> =>
  (rows[0] ?? []).map((_, column) => rows.reduce((sum, row) => sum + (row[column] ?? 0), 0) / rows.length)

console.log(`${trials} trials, rates ${values.uniform === true ? "uniform" : "log-uniform"} in 0.8..9.6`)
console.log(
  "| L | N | joined | PETALS (moves) | ours, as few moves | ours (moves) | ms | Petals' code: joined, rebalanced (moves) |"
)
console.log("| --- | --- | --- | --- | --- | --- | --- | --- |")
for (const { blocks, servers, ...theirs } of published) {
  const rows = Array.from({ length: trials }, (_, trial) => {
    const random = seeded(1000 * blocks + servers + 7919 * trial)
    const joined = swarmOf(blocks, servers, random, joinBlocks)
    const bound = evenBound(joined, blocks)
    const greedy = rebalanced(joined, blocks, random)
    const few = improve(joined, blocks, { maxMoves: Math.max(1, greedy.moves) })
    const since = performance.now()
    const ours = improve(joined, blocks)
    const took = performance.now() - since
    return [
      quality(joined, blocks),
      quality(greedy.placed, blocks),
      greedy.moves,
      few.after / bound,
      few.moves.length,
      ours.after / bound,
      ours.moves.length,
      took
    ]
  })
  const [joined = 0, greedy = 0, moves = 0, few = 0, fewMoves = 0, ours = 0, oursMoves = 0, took = 0] = means(rows)
  console.log(
    `| ${blocks} | ${servers} | ${joined.toFixed(2)} | ${greedy.toFixed(2)} (${moves.toFixed(1)}) | ${few.toFixed(2)} (${fewMoves.toFixed(1)}) | ${ours.toFixed(2)} (${oursMoves.toFixed(1)}) | ${took.toFixed(0)} | ${theirs.joined}, ${theirs.rebalanced} (${theirs.moves}) |`
  )
}

const prices = { delay: (from: string, to: string) => (from === to ? 0.002 : 0.05), client: "eu" }
/** Machines on which delays matter. */
const FASTER = 20
console.log(
  `\nTwo regions, 2 ms within and 50 ms between (one way), servers ${FASTER} times as fast: a token for a client in one`
)
console.log("| L | N | by throughput: s, quality | region first: s, quality |")
console.log("| --- | --- | --- | --- |")
for (const { blocks, servers } of published) {
  const rows = Array.from({ length: trials }, (_, trial) => {
    const seed = 1000 * blocks + servers + 7919 * trial
    return [joinBlocks, joinRegional].flatMap((join: Join) => {
      const joined = swarmOf(blocks, servers, seeded(seed), join)
      const { moves } = (join === joinRegional ? improveRegional : improve)(joined, blocks)
      const target = new Map(moves.map(({ peer, to }) => [peer, to]))
      const placed = joined.map((server) => ({ ...server, blocks: target.get(server.peer) ?? server.blocks }))
      return [
        chainSeconds(
          placed.map((server) => ({ ...server, rate: FASTER * server.rate })),
          blocks,
          prices
        ),
        quality(placed, blocks)
      ]
    })
  })
  const [a = 0, b = 0, c = 0, d = 0] = means(rows)
  console.log(`| ${blocks} | ${servers} | ${a.toFixed(2)}, ${b.toFixed(2)} | ${c.toFixed(2)}, ${d.toFixed(2)} |`)
}
