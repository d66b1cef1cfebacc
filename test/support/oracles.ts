/**
 * A chain of three spans of oracles, and what an undisturbed one gives.
 * @module
 */
import { type Chain, localPipeline } from "@swarm/client"
import { oracleHead, oracleSpan, type TestServer, type TestSwarm } from "@swarm/testing"
import { Effect } from "effect"

export const HIDDEN = 64
export const CUTS = [
  { from: 0, to: 4 },
  { from: 4, to: 8 },
  { from: 8, to: 12 }
] as const

export const head = oracleHead(HIDDEN)
export const prompt = (seed: number, length: number) => Array.from({ length }, (_, i) => (seed * 131 + i * 17) % 997)

/** What an undisturbed run gives: outputs of the prompt's last row and of each token after it. */
export const undisturbed = async (ids: ReadonlyArray<number>, tokens: number): Promise<ReadonlyArray<number>> => {
  const pipeline = localPipeline(
    CUTS.map((cut) => oracleSpan({ ...cut, hiddenSize: HIDDEN })),
    4096
  )
  return run(pipeline, ids, tokens)
}

export const run = async (
  pipeline: Pick<Chain, "forward">,
  ids: ReadonlyArray<number>,
  tokens: number,
  at: (token: number) => Promise<void> = async () => {}
): Promise<ReadonlyArray<number>> => {
  const out: Array<number> = []
  let rows = await pipeline.forward(head.embed(ids), "last")
  for (let token = 0; token < tokens; token++) {
    out.push(rows[0] ?? -1)
    await at(token)
    rows = await pipeline.forward(head.embed([(rows[0] ?? 0) % 997]), "last")
  }
  return out
}

export const startAll = (swarm: TestSwarm, replicas: number) =>
  Effect.gen(function* () {
    const servers: Array<Array<TestServer>> = CUTS.map(() => [])
    for (let replica = 0; replica < replicas; replica++) {
      for (const [index, cut] of CUTS.entries()) {
        servers[index]?.push(yield* swarm.start(oracleSpan({ ...cut, hiddenSize: HIDDEN })))
      }
    }
    return servers
  })

export const serving = (servers: ReadonlyArray<ReadonlyArray<TestServer>>, chain: Chain, hop: number): TestServer => {
  const peer = chain.route()[hop]?.peer
  const found = servers.flat().find(({ server }) => server.peer === peer)
  if (found === undefined) throw new Error(`no server at hop ${hop}`)
  return found
}
