/** A transport around another that counts the messages of the token path; the position oracle shows that none is lost. */
import { strict as assert } from "node:assert"
import { localPipeline } from "@swarm/client"
import { decodeFrame } from "@swarm/protocol"
import { makeTestSwarm, oracleHead, oracleSpan } from "@swarm/testing"
import { type Channel, layerMemory, Transport } from "@swarm/transport"
import { Effect, Layer } from "effect"

const sent = { step: 0, output: 0 }
const counting = (channel: Channel): Channel => ({
  ...channel,
  send: (message) => {
    const { kind } = decodeFrame(message)
    if (kind === "step" || kind === "output") sent[kind]++
    return channel.send(message)
  }
})
const layer = Layer.effect(
  Transport,
  Effect.map(Transport, ({ dial, listen }) => ({
    dial: (address: string) => Effect.map(dial(address), counting),
    listen: (address: string, onChannel: (channel: Channel) => void) =>
      listen(address, (channel) => onChannel(counting(channel)))
  }))
).pipe(Layer.provide(layerMemory))

const head = oracleHead()
const cuts = [0, 2, 4].map((from) => ({ from, to: from + 2 }))
const program = Effect.gen(function* () {
  const swarm = yield* makeTestSwarm({ blocks: 6, transport: layer })
  for (const cut of cuts) yield* swarm.start(oracleSpan(cut))
  const client = yield* swarm.client
  const chain = yield* client.open({ model: swarm.model, maxTokens: 64 })
  const local = localPipeline(cuts.map(oracleSpan), 64)
  for (let token = 0; token < 10; token++) {
    const x = head.embed([token])
    const [got, expected] = yield* Effect.promise(() => Promise.all([chain, local].map((p) => p.forward(x, "last"))))
    assert.deepEqual(got, expected)
  }
  console.log(`10 tokens over 3 servers: ${sent.step} steps, ${sent.output} outputs`)
})
await Effect.runPromise(Effect.scoped(program))
// prints: 10 tokens over 3 servers: 30 steps, 10 outputs
