/**
 * `swarm bootstrap`: a place to meet, which serves no model: a directory, and over libp2p a relay and a part of the hash table.
 * @module
 */
import { addRefusals, Discovery, noRefusals, ownAddresses, watchedDirectory } from "@swarm/discovery"
import { type Frame, never, type Status } from "@swarm/protocol"
import { type Connection, Network } from "@swarm/transport"
import * as Effect from "effect/Effect"
import { type Parsed, UsageError } from "../args.ts"
import { serverLayer } from "../layers.ts"
import { serverMember } from "../membership.ts"
import { makeOutput } from "../output.ts"
import type { bootstrap } from "../specs.ts"
import { stopped } from "../stopped.ts"

/** So often it asks the others that it was given. */
const REFRESH_SECONDS = 10

export const run = ({ values }: Parsed<typeof bootstrap.options>): Effect.Effect<void, unknown> =>
  Effect.gen(function* () {
    const output = makeOutput(values.json)
    const { listen, join } = values
    if (listen === undefined)
      return yield* Effect.fail(new UsageError("--listen is missing: /ip4/0.0.0.0/tcp/7000, or ws://0.0.0.0:7000"))
    const member = yield* serverMember(values, listen, 0)
    yield* Effect.gen(function* () {
      const { directory, status } = yield* makeDirectory
      const network = yield* Network
      const receive = (frame: Frame, connection: Connection): void => {
        if (frame.kind === "status") connection.reply(frame.request, "statusReply", status())
        else if (!directory.handle(frame, connection) && frame.request !== 0)
          connection.reply(frame.request, "fault", never("protocol", "this peer serves no blocks"))
      }
      const listened = yield* network.serve(listen, (connection) => connection.receive(receive))
      const addresses = values.announce.length > 0 ? values.announce : ownAddresses(listened)
      output.event(
        { event: "online", address: addresses[0], addresses, peer: network.self },
        `online  ${addresses.map((address) => output.bold(address)).join(" or ")}\n        join with --join`
      )
      yield* stopped(values.parent)
      if (output.isJson) output.event({ event: "stopped" })
    }).pipe(Effect.scoped, Effect.provide(serverLayer({ join, member, listen })))
  })

const makeDirectory = Effect.gen(function* () {
  const network = yield* Network
  const discovery = yield* Discovery
  const started = performance.now()
  const directory = yield* watchedDirectory(network, discovery.heard, "")
  yield* Effect.forkScoped(Effect.forever(Effect.zipRight(Effect.ignore(discovery.refresh), wait)))
  const status = (): Status => ({
    announcement: undefined,
    sessions: 0,
    kvTokens: 0,
    channels: network.connections().length,
    uptimeSeconds: (performance.now() - started) / 1000,
    residentBytes: process.memoryUsage.rss(),
    refused: addRefusals(directory.counts.refused, discovery.refused?.() ?? noRefusals())
  })
  return { directory, status }
})

const wait = Effect.sleep(1000 * REFRESH_SECONDS)
