/** The same swarm over a link of 40 milliseconds: a step over three servers takes four of them, not six (direct return). */
import { makeTestSwarm, oracleHead, oracleSpan } from "@swarm/testing"
import { emulated, layerMemory, makeLink } from "@swarm/transport"
import { Effect } from "effect"

const latency = 40
const program = Effect.gen(function* () {
  const link = makeLink({ latency: `${latency} millis` })
  const swarm = yield* makeTestSwarm({ blocks: 6, transport: layerMemory.pipe(emulated(link)) })
  for (const from of [0, 2, 4]) yield* swarm.start(oracleSpan({ from, to: from + 2 }))
  const client = yield* swarm.client
  const chain = yield* client.open({ model: swarm.model, maxTokens: 64 })
  const x = oracleHead().embed([7])
  // the fastest of several: a link delays by at least its latency, a busy machine by any time more
  let fastest = Number.POSITIVE_INFINITY
  for (let token = 0; token < 10; token++) {
    const started = performance.now()
    yield* Effect.promise(() => chain.forward(x, "last"))
    fastest = Math.min(fastest, (performance.now() - started) / latency)
  }
  console.log(
    fastest >= 3.9 && fastest < 6
      ? "at least four latencies a token, less than six"
      : `${fastest.toFixed(1)} latencies a token`
  )
})
await Effect.runPromise(Effect.scoped(program))
// prints: at least four latencies a token, less than six
