/** All servers of some blocks are gone: a typed error names the blocks, and the session goes on when one returns. */
import { makeTestSwarm, oracleHead, oracleSpan } from "@swarm/testing"
import { Effect } from "effect"

const program = Effect.gen(function* () {
  const swarm = yield* makeTestSwarm({ blocks: 4 })
  yield* swarm.start(oracleSpan({ from: 0, to: 2 }))
  const only = yield* swarm.start(oracleSpan({ from: 2, to: 4 }))
  const client = yield* swarm.client
  const chain = yield* client.open({ model: swarm.model, maxTokens: 64, graceSeconds: 0.3 })
  const say = (ids: ReadonlyArray<number>) =>
    Effect.tryPromise({
      try: () => chain.forward(oracleHead().embed(ids), "last"),
      catch: (error) => error as { readonly _tag: string; readonly missing?: unknown }
    })

  yield* say([1, 2, 3])
  yield* only.kill
  const error = yield* Effect.flip(say([4]))
  console.log(error._tag, JSON.stringify(error.missing), `at position ${chain.position()}`)

  yield* swarm.start(oracleSpan({ from: 2, to: 4 }))
  yield* say([4])
  console.log(`went on to position ${chain.position()}`)
})
await Effect.runPromise(Effect.scoped(program))
// prints: BlocksUnserved [{"from":2,"to":4}] at position 3
// went on to position 4
