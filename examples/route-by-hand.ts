/** The routing graph as plain functions: what servers say of themselves in, a chain and its expected time out. */
import { buildGraph, defaultCosts, makeBans, selectCandidates, shortestChain } from "@swarm/routing"
import { announcement } from "@swarm/testing"

// "far" computes fastest, but the way there takes longer than it saves
const servers = [
  announcement("near", 0, 12),
  announcement("far", 0, 12, { decodeRate: 9000 }),
  announcement("rest", 12, 24)
]
const roundTrips = new Map([
  ["near", 0.004],
  ["far", 0.18],
  ["rest", 0.01]
])

const weighing = { trips: { client: roundTrips }, costs: defaultCosts }
const bans = makeBans()
const chain = (now: number) => {
  const request = { model: "some-model", blocks: { from: 0, to: 24 }, tokens: 512 }
  const { candidates } = selectCandidates(servers, request, bans, now, false)
  const best = shortestChain(buildGraph(candidates, request.blocks, weighing))
  return best === undefined
    ? "no chain"
    : `${best.hops.map(({ peer }) => peer).join(" -> ")}, ${(best.seconds * 1000).toFixed(1)} ms a token`
}
console.log(chain(0))
bans.failed("near", "the channel closed", 0)
console.log(chain(1))
console.log(chain(6))
// prints: near -> rest, 39.0 ms a token
// far -> rest, 204.3 ms a token
// near -> rest, 39.0 ms a token
