import { makeSession } from "@swarm/client"
import { makeTestSwarm, oracleHead, oracleSpan } from "@swarm/testing"
import { Effect, Stream } from "effect"

const program = Effect.gen(function* () {
  const swarm = yield* makeTestSwarm({ blocks: 4 })
  yield* swarm.start(oracleSpan({ from: 0, to: 2 }))
  const twins = [yield* swarm.start(oracleSpan({ from: 2, to: 4 })), yield* swarm.start(oracleSpan({ from: 2, to: 4 }))]
  const client = yield* swarm.client // in earnest: the service `Swarm` of `layer()`
  const pipeline = yield* client.open({ model: swarm.model, maxTokens: 64 })
  const session = makeSession({ pipeline, head: oracleHead() })

  const ids: Array<number> = []
  yield* Stream.runForEach(session.generate([1, 2, 3], { maxTokens: 8, temperature: 0 }), ({ id }) =>
    Effect.gen(function* () {
      if (ids.push(id) !== 4) return
      const busy = twins.find(({ server }) => server.peer === pipeline.route()[1]?.peer)
      yield* busy?.kill ?? Effect.void
    })
  )
  console.log(ids.length, pipeline.recoveries()) // => 8 1
})
await Effect.runPromise(Effect.scoped(program))
