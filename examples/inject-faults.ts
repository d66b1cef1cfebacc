/** A server whose runtime fails in the middle of a prompt: what the client sees, and that the outputs stay the same. */
import { localPipeline } from "@swarm/client"
import { makeTestSwarm, oracleHead, oracleSpan } from "@swarm/testing"
import { Effect } from "effect"

const head = oracleHead()
const prompt = Array.from({ length: 300 }, (_, i) => i % 97)

const program = Effect.gen(function* () {
  const swarm = yield* makeTestSwarm({ blocks: 4 })
  yield* swarm.start(oracleSpan({ from: 0, to: 2 }))
  let runs = 0
  const failing = oracleSpan({
    from: 2,
    to: 4,
    before: (steps) => {
      // the server's own measurements at start are runs too: count those of the session's prompt only
      if (steps.some(({ kv }) => kv.capacity === 512) && ++runs === 2) throw new Error("out of memory")
    }
  })
  yield* swarm.start(failing)
  const client = yield* swarm.client
  const chain = yield* client.open({
    model: swarm.model,
    maxTokens: 512,
    onEvent: (event) => {
      if (event._tag === "FailureSeen") console.log(`blocks ${event.blocks.from}:${event.blocks.to}: ${event.reason}`)
      if (event._tag === "ReplacementChosen") console.log(`exact replacement: ${event.exact}`)
    }
  })
  yield* swarm.start(oracleSpan({ from: 2, to: 4 }))
  const got = yield* Effect.promise(() => chain.forward(head.embed(prompt), "last"))

  const local = localPipeline([oracleSpan({ from: 0, to: 2 }), oracleSpan({ from: 2, to: 4 })], 512)
  const expected = yield* Effect.promise(() => local.forward(head.embed(prompt), "last"))
  console.log(`same output as in one process: ${got.every((value, i) => value === expected[i])}`)
})
await Effect.runPromise(Effect.scoped(program))
// prints: blocks 2:4: out of memory
// exact replacement: true
// same output as in one process: true
