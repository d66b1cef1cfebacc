/**
 * A chain survives any server, in any phase, with the same outputs: shown with the position oracle in memory.
 */
import { assert, it } from "@effect/vitest"
import { type Chain, type ChainEvent, localPipeline } from "@swarm/client"
import { makeTestSwarm, oracleHead, oracleSpan, type TestServer, type TestSwarm } from "@swarm/testing"
import { Effect } from "effect"
import { describe } from "vitest"

const HIDDEN = 64
const CUTS = [
  { from: 0, to: 4 },
  { from: 4, to: 8 },
  { from: 8, to: 12 }
] as const

const head = oracleHead(HIDDEN)
const prompt = (seed: number, length: number) => Array.from({ length }, (_, i) => (seed * 131 + i * 17) % 997)

/** What an undisturbed run gives: outputs of the prompt's last row and of each token after it. */
const undisturbed = async (ids: ReadonlyArray<number>, tokens: number): Promise<ReadonlyArray<number>> => {
  const pipeline = localPipeline(
    CUTS.map((cut) => oracleSpan({ ...cut, hiddenSize: HIDDEN })),
    4096
  )
  return run(pipeline, ids, tokens)
}

const run = async (
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

const startAll = (swarm: TestSwarm, replicas: number) =>
  Effect.gen(function* () {
    const servers: Array<Array<TestServer>> = CUTS.map(() => [])
    for (let replica = 0; replica < replicas; replica++) {
      for (const [index, cut] of CUTS.entries()) {
        servers[index]?.push(yield* swarm.start(oracleSpan({ ...cut, hiddenSize: HIDDEN })))
      }
    }
    return servers
  })

const serving = (servers: ReadonlyArray<ReadonlyArray<TestServer>>, chain: Chain, hop: number): TestServer => {
  const peer = chain.route()[hop]?.peer
  const found = servers.flat().find(({ server }) => server.peer === peer)
  if (found === undefined) throw new Error(`no server at hop ${hop}`)
  return found
}

describe("a chain of three", () => {
  it.scopedLive("gives what one process gives", () =>
    Effect.gen(function* () {
      const swarm = yield* makeTestSwarm({ blocks: 12 })
      yield* startAll(swarm, 1)
      const client = yield* swarm.client
      const ids = prompt(1, 300)
      const expected = yield* Effect.promise(() => undisturbed(ids, 20))
      const chain = yield* client.open({ model: swarm.model, maxTokens: 512 })
      assert.deepStrictEqual(yield* Effect.promise(() => run(chain, ids, 20)), expected)
      assert.strictEqual(chain.recoveries(), 0)
    })
  )

  for (const hop of [0, 1, 2]) {
    it.scopedLive(`survives the death of hop ${hop} between tokens`, () =>
      Effect.gen(function* () {
        const swarm = yield* makeTestSwarm({ blocks: 12 })
        const servers = yield* startAll(swarm, 2)
        const client = yield* swarm.client
        const events: Array<ChainEvent> = []
        const ids = prompt(2, 77)
        const expected = yield* Effect.promise(() => undisturbed(ids, 24))
        const chain = yield* client.open({ model: swarm.model, maxTokens: 512, onEvent: (event) => events.push(event) })
        const kill = async (token: number) => {
          if (token === 9) await Effect.runPromise(serving(servers, chain, hop).kill)
        }
        assert.deepStrictEqual(yield* Effect.promise(() => run(chain, ids, 24, kill)), expected)
        assert.strictEqual(chain.recoveries(), 1)
        assert.deepStrictEqual(
          events.map(({ _tag }) => _tag).filter((tag) => tag !== "FailureSeen"),
          ["Opened", "ReplacementChosen", "Replayed", "Resumed"]
        )
      })
    )
  }
})
