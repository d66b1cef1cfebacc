/** Eight sessions at once: the server hands several of them to one run. */
import { makeTestSwarm, oracleHead, oracleSpan } from "@swarm/testing"
import { Effect } from "effect"

const program = Effect.gen(function* () {
  const swarm = yield* makeTestSwarm({ blocks: 2 })
  // a run takes a moment, so that others arrive meanwhile
  const span = oracleSpan({ from: 0, to: 2, before: () => new Promise((resolve) => setTimeout(resolve, 2)) })
  yield* swarm.start(span)
  const client = yield* swarm.client
  const talk = Effect.scoped(
    Effect.gen(function* () {
      const chain = yield* client.open({ model: swarm.model, maxTokens: 64 })
      for (let token = 0; token < 20; token++)
        yield* Effect.promise(() => chain.forward(oracleHead().embed([token]), "last"))
    })
  )
  yield* Effect.all(
    Array.from({ length: 8 }, () => talk),
    { concurrency: "unbounded" }
  )
  const largest = Math.max(...span.runs)
  console.log(
    `160 steps in fewer runs: ${span.runs.length < 160}; the largest run held several sessions: ${largest > 1}`
  )
  console.log(`caches still open: ${span.opened()}`)
})
await Effect.runPromise(Effect.scoped(program))
// prints: 160 steps in fewer runs: true; the largest run held several sessions: true
// caches still open: 0
