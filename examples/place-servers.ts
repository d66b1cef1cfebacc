/** Where servers go: PETALS' rule for joining and moving, and a better plan. */
import { blockRates, bottleneck, improve, joinBlocks, type Placed, rebalance, seeded } from "@swarm/balancer"

const blocks = 24
const placed: Array<Placed> = []
const show = (servers: ReadonlyArray<Placed>): string =>
  servers.map(({ peer, blocks: { from, to } }) => `${peer} ${from}:${to}`).join(", ")

// peer, blocks that fit, tokens per second
for (const [peer, count, rate] of [
  ["a", 10, 2],
  ["b", 8, 3],
  ["c", 12, 1],
  ["d", 6, 4],
  ["e", 9, 2]
] as const) {
  placed.push({ peer, blocks: joinBlocks(placed, blocks, count), rate })
}
console.log(show(placed))
console.log(`bottleneck ${bottleneck(blockRates(placed, blocks))}`)

console.log(
  placed.map(({ peer }) => `${peer} ${rebalance(peer, placed, blocks, { random: seeded(1) }).reason}`).join(", ")
)

const { moves, after } = improve(placed, blocks)
for (const { peer, from, to } of moves) console.log(`${peer} moves from ${from.from}:${from.to} to ${to.from}:${to.to}`)
console.log(`bottleneck ${after}`)

// prints:
// a 0:10, b 10:18, c 12:24, d 18:24, e 0:9
// bottleneck 2
// a alone, b alone, c gain, d settled, e settled
// c moves from 12:24 to 6:18
// bottleneck 3
