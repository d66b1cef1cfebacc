import { strict as assert } from "node:assert"
import { localPipeline } from "@swarm/client"
import { makeTestSwarm, oracleHead, oracleSpan } from "@swarm/testing"
import { emulated, layerMemory, makeLink } from "@swarm/transport"
import { Effect } from "effect"

const cuts = [{ from: 0, to: 3 }, { from: 3, to: 6 }]
const program = Effect.gen(function* () {
  const link = makeLink({ latency: "2 millis", jitter: "2 millis" })
  const swarm = yield* makeTestSwarm({ blocks: 6, transport: layerMemory.pipe(emulated(link)) })
  const servers = []
  for (const cut of [...cuts, ...cuts]) servers.push(yield* swarm.start(oracleSpan(cut)))

  const chain = yield* (yield* swarm.client).open({ model: swarm.model, maxTokens: 64 })
  const alone = localPipeline(cuts.map((cut) => oracleSpan(cut)), 64)
  for (let token = 0; token < 8; token++) {
    const victim = servers.find(({ server }) => server.peer === chain.route()[token % 2]?.peer)
    if (token === 3 || token === 6) yield* victim?.kill ?? Effect.void
    const x = oracleHead().embed([token])
    const got = yield* Effect.promise(() => chain.forward(x, "last"))
    assert.deepEqual(got, yield* Effect.promise(() => alone.forward(x, "last")))
  }
  console.log(chain.recoveries()) // => 2
})
await Effect.runPromise(Effect.scoped(program))
