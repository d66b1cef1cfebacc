/**
 * A server that notes how long each run of its span takes, and echoes on a raw TCP port: the other end of `chain.ts`.
 *
 *     node --import tsx --conditions=swarm-src bench/timedServer.ts FILE.gguf FROM TO
 *
 * Prints `{"address","tcp"}` when it is online. At each line on stdin it prints `{"runs"}`, the milliseconds of its runs of
 * one token since the last time, and it ends when stdin does.
 * @module
 */
import { createServer } from "node:net"
import { createInterface } from "node:readline"
import { loadSpan, type Span } from "@swarm/compute"
import { layerStatic } from "@swarm/discovery"
import { layer as layerEngine } from "@swarm/engine"
import { openModel } from "@swarm/model"
import { serve } from "@swarm/server"
import { layerNetwork, layerWebSocket } from "@swarm/transport"
import { Effect, Layer } from "effect"

const [, , file = "", from, to] = process.argv
const print = (line: object) => console.log(JSON.stringify(line))
let runs: Array<number> = []

const timed = (span: Span): Span => ({
  ...span,
  run: async (steps, x) => {
    const started = performance.now()
    const y = await span.run(steps, x)
    if (steps.length === 1 && steps[0]?.tokens === 1) runs.push(performance.now() - started)
    return y
  }
})

const listenTcp = Effect.acquireRelease(
  Effect.promise(
    () =>
      new Promise<ReturnType<typeof createServer>>((resolve) => {
        const server = createServer((socket) => {
          socket.setNoDelay().on("error", () => undefined)
          socket.pipe(socket)
        })
        server.listen(0, "127.0.0.1", () => resolve(server))
      })
  ),
  (server) => Effect.sync(() => server.close())
)

const layers = layerStatic({ addresses: [] }).pipe(
  Layer.provideMerge(layerNetwork({ software: "bench" })),
  Layer.provide(layerWebSocket()),
  Layer.merge(layerEngine)
)
const program = Effect.gen(function* () {
  const model = yield* openModel(file)
  const span = yield* loadSpan(model, Number(from), Number(to))
  const { digest, name, blocks } = model
  const server = yield* serve({
    model: { digest, name, blocks },
    span: timed(span),
    listen: "ws://127.0.0.1:0",
    maxTokens: Math.min(2048, model.contextLength)
  })
  const address = (yield* listenTcp).address()
  runs = [] // those of the server's own measurement
  print({ address: server.address, tcp: typeof address === "object" ? address?.port : undefined })
  yield* Effect.promise(async () => {
    for await (const _ of createInterface({ input: process.stdin })) {
      print({ runs })
      runs = []
    }
  })
})
await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(layers)))
process.exit(0) // a client's raw socket may still be open
