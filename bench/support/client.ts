/**
 * A client in this process of servers in others, and what it generates.
 * @module
 */
import { type Chain, layer as layerClient, Swarm } from "@swarm/client"
import type { Head } from "@swarm/compute"
import { Discovery, makeStatic } from "@swarm/discovery"
import type { Model } from "@swarm/model"
import { layer as layerRouting } from "@swarm/routing"
import { layerNetwork, layerWebSocket, Network } from "@swarm/transport"
import { Effect, Layer } from "effect"

/** A client that knows the servers at `addresses`, and opens sessions on them. Closed with the scope. */
export const makeClient = (addresses: ReadonlyArray<string>) => {
  const network = layerNetwork({ software: "bench" }).pipe(Layer.provide(layerWebSocket()))
  const discovery = Layer.scoped(
    Discovery,
    Effect.flatMap(Network, (made) => makeStatic(made, { addresses }))
  )
  const routing = layerRouting({ known: Effect.map(Discovery, ({ known }) => known) })
  const layer = layerClient().pipe(Layer.provide(routing), Layer.provide(discovery), Layer.provide(network))
  return Effect.flatMap(Layer.build(layer), (context) => Effect.provide(Swarm, context))
}

/** A model as a client asks for it. */
export const servedModel = ({ digest, name, blocks, hiddenSize }: Model) => ({ digest, name, blocks, hiddenSize })

/** `count` equal spans of `blocks`, as equal as can be. */
export const cuts = (blocks: number, count: number): ReadonlyArray<readonly [from: number, to: number]> => {
  const at = (index: number) => Math.round((index * blocks) / count)
  return Array.from({ length: count }, (_, index) => [at(index), at(index + 1)])
}

/** Ids spread over the vocabulary, the same at each run; as `swarm bench` takes them. */
export const someIds = (count: number, vocabulary: number): Array<number> =>
  Array.from({ length: count }, (_, i) => (i * 7919) % vocabulary)

/** Where the milliseconds of each token went. */
interface TokenTimes {
  /** From the row that enters the chain to the row that comes back. */
  readonly forward: Array<number>
  /** Embedding, final norm, output matrix and the choice of the token, at the client. */
  readonly head: Array<number>
}

/** What greedy generation gave. */
export interface Generated extends TokenTimes {
  readonly ids: ReadonlyArray<number>
  /** f32 (vocabulary) of each token. */
  readonly logits: ReadonlyArray<Float32Array>
}

/** Index of the greatest value; the lowest of equals. */
export const argmax = (values: Float32Array): number =>
  values.reduce((best, value, i) => (value > (values[best] ?? Number.NaN) ? i : best), 0)

/** Feeds a prompt and takes the likeliest token `count` times; `before` each token it can do something to the servers. */
export const generate = async (
  chain: Pick<Chain, "forward">,
  head: Head,
  prompt: ReadonlyArray<number>,
  count: number,
  before: (token: number) => void | Promise<void> = () => {}
): Promise<Generated> => {
  const ids: Array<number> = []
  const logits: Array<Float32Array> = []
  const times: TokenTimes = { forward: [], head: [] }
  let rows = await chain.forward(head.embed(prompt), "last")
  for (let token = 0; token < count; token++) {
    const began = performance.now()
    const row = await head.logits(rows)
    const id = argmax(row)
    const x = head.embed([id])
    times.head.push(performance.now() - began)
    logits.push(row)
    ids.push(id)
    await before(token)
    const left = performance.now()
    rows = await chain.forward(x, "last")
    times.forward.push(performance.now() - left)
  }
  return { ids, logits, ...times }
}
