/** A swarm in this process loses the server in the middle; the session goes on with the same outputs. */
import { makeTestSwarm, oracleHead, oracleSpan } from "@swarm/testing"
import { Effect } from "effect"

const program = Effect.gen(function* () {
  const swarm = yield* makeTestSwarm({ blocks: 6 })
  yield* swarm.start(oracleSpan({ from: 0, to: 2 }))
  const twins = [yield* swarm.start(oracleSpan({ from: 2, to: 4 })), yield* swarm.start(oracleSpan({ from: 2, to: 4 }))]
  yield* swarm.start(oracleSpan({ from: 4, to: 6 }))

  const client = yield* swarm.client
  const chain = yield* client.open({
    model: swarm.model,
    maxTokens: 64,
    onEvent: (event) => console.log(event._tag)
  })
  const head = oracleHead()
  yield* Effect.promise(() => chain.forward(head.embed([1, 2, 3, 4, 5]), "last"))
  const busy = twins.find(({ server }) => server.peer === chain.route()[1]?.peer)
  yield* busy?.kill ?? Effect.void
  yield* Effect.promise(() => chain.forward(head.embed([6]), "last"))
  console.log(`recoveries: ${chain.recoveries()}, tokens in the caches: ${chain.position()}`)
})
await Effect.runPromise(Effect.scoped(program))
// prints: Opened
// FailureSeen
// ReplacementChosen
// Replayed
// Resumed
// recoveries: 1, tokens in the caches: 6
