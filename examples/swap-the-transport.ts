/** The same swarm over a link of 20 milliseconds: a step takes four of them, not six (direct return). */
import { makeTestSwarm, oracleHead, oracleSpan } from "@swarm/testing"
import { emulated, layerMemory, makeLink } from "@swarm/transport"
import { Effect } from "effect"

const program = Effect.gen(function* () {
  const link = makeLink({ latency: "20 millis" })
  const swarm = yield* makeTestSwarm({ blocks: 6, transport: layerMemory.pipe(emulated(link)) })
  for (const from of [0, 2, 4]) yield* swarm.start(oracleSpan({ from, to: from + 2 }))
  const client = yield* swarm.client
  const chain = yield* client.open({ model: swarm.model, maxTokens: 64 })
  const x = oracleHead().embed([7])
  yield* Effect.promise(() => chain.forward(x, "last"))
  const started = performance.now()
  for (let token = 0; token < 5; token++) yield* Effect.promise(() => chain.forward(x, "last"))
  const latencies = (performance.now() - started) / 5 / 20
  console.log(
    latencies >= 3.9 && latencies < 6 ? "about four latencies a token" : `${latencies.toFixed(1)} latencies a token`
  )
})
await Effect.runPromise(Effect.scoped(program))
// prints: about four latencies a token
