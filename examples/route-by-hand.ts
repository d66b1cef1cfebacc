/** The routing graph as plain functions: what servers say of themselves in, a chain and its expected time out. */
import type { Announcement } from "@swarm/protocol"
import { buildGraph, defaultCosts, makeBans, selectCandidates, shortestChain } from "@swarm/routing"

const server = (peer: string, from: number, to: number, decodeRate: number): Announcement => ({
  peer,
  addresses: [`ws://${peer}.example:7000`],
  model: "some-model",
  modelName: "Some model",
  modelBlocks: 24,
  blocks: { from, to },
  state: "online",
  decodeRate,
  prefillRate: 10 * decodeRate,
  digest: "",
  freeTokens: 4096,
  maxTokens: 4096,
  sessions: 0,
  queue: 0,
  version: "0.1.0",
  timeToLive: 30
})
// "far" computes fastest, but the way there takes longer than it saves
const servers = [server("near", 0, 12, 1000), server("far", 0, 12, 9000), server("rest", 12, 24, 1000)]
const roundTrips = new Map([
  ["near", 0.004],
  ["far", 0.18],
  ["rest", 0.01]
])

const bans = makeBans()
const chain = (now: number) => {
  const request = { model: "some-model", blocks: { from: 0, to: 24 }, tokens: 512 }
  const { candidates } = selectCandidates(servers, request, bans, now, false)
  const best = shortestChain(buildGraph(candidates, request.blocks, { client: roundTrips }, defaultCosts))
  return best === undefined
    ? "no chain"
    : `${best.hops.map(({ peer }) => peer).join(" -> ")}, ${(best.seconds * 1000).toFixed(1)} ms a token`
}
console.log(chain(0))
bans.failed("near", "the channel closed", 0)
console.log(chain(1))
console.log(chain(6))
// prints: near -> rest, 37.0 ms a token
// far -> rest, 114.3 ms a token
// near -> rest, 37.0 ms a token
