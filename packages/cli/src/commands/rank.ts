/**
 * `swarm rank`: computes a part of what another server serves.
 * @module
 */
import { hostRank } from "@swarm/compute"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type { Parsed } from "../args.ts"
import { engineLayer, transportLayer } from "../layers.ts"
import { makeOutput } from "../output.ts"
import { modelOf } from "../sessions.ts"
import type { rank } from "../specs.ts"
import { stopped } from "../stopped.ts"

export const run = ({ values }: Parsed<typeof rank.options>): Effect.Effect<void, unknown> =>
  Effect.gen(function* () {
    const output = makeOutput(values.json)
    const model = yield* modelOf(values)
    const over = yield* Deferred.make<void>()
    const { address } = yield* hostRank(model, {
      listen: values.listen ?? "ws://127.0.0.1:0",
      ...(values.threads === undefined ? {} : { threads: values.threads }),
      onGroup: (event) => {
        if (event.kind === "begun") {
          const { rank, ranks, blocks } = event
          output.event(
            { event: "begun", rank, ranks, blocks },
            `rank ${rank} of ${ranks}, blocks ${blocks[0]}:${blocks[1]}`
          )
          return
        }
        const reason = event.cause === undefined ? undefined : Cause.pretty(event.cause).split("\n")[0]
        output.event(
          { event: "ended", ...(reason === undefined ? {} : { reason }) },
          reason === undefined ? "the group has ended" : `the group has ended: ${reason}`
        )
        if (values.once) Effect.runSync(Deferred.succeed(over, undefined))
      }
    })
    output.event({ event: "listening", address, model: model.digest }, `waiting for a server at ${address}`)
    yield* Effect.raceFirst(stopped(values.parent), Deferred.await(over))
  }).pipe(Effect.scoped, Effect.provide([engineLayer, transportLayer]))
