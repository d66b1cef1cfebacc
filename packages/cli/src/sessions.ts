/**
 * Opens what a command generates with: a model's head here, its blocks here or in the swarm.
 * @module
 */
import { type Chain, type ChainEvent, type ClientError, localPipeline, type Pipeline, Swarm } from "@swarm/client"
import { type ComputeError, type Head, loadHead, loadSpan, type SpanOptions } from "@swarm/compute"
import { Discovery } from "@swarm/discovery"
import type { Engine, EngineError } from "@swarm/engine"
import type { IdentityError, InviteError } from "@swarm/identity"
import { type Model, type ModelError, openModel } from "@swarm/model"
import type { BlockRange, WireCodec } from "@swarm/protocol"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { UsageError } from "./args.ts"
import { blocksField, routeField } from "./eventFields.ts"
import { clientLayer } from "./layers.ts"
import { clientMember, type MemberValues } from "./membership.ts"
import { codecOf, type NumericValues, spanOptions } from "./numerics.ts"
import { CommandFailed, type Output } from "./output.ts"

export interface WhereValues extends NumericValues, MemberValues {
  readonly model: string | undefined
  readonly join: ReadonlyArray<string>
  readonly mdns: boolean
  readonly local: boolean
  readonly codec: string | undefined
  readonly "grace-seconds": number | undefined
}

/** A model that can be run: pipelines of its blocks, and its head. */
export interface Runnable {
  readonly model: Model
  readonly head: Head
  /** A pipeline for one session of at most `maxTokens` tokens. Closed with the scope. */
  readonly pipeline: (
    maxTokens: number,
    onEvent?: (event: ChainEvent) => void
  ) => Effect.Effect<Pipeline | Chain, ClientError, Scope.Scope>
  readonly isLocal: boolean
}

type Failure = ModelError | EngineError | ComputeError | UsageError | CommandFailed | IdentityError | InviteError

/** Opens the model named by `--model`. */
export const modelOf = (values: {
  readonly model: string | undefined
}): Effect.Effect<Model, ModelError | UsageError> =>
  values.model === undefined ? Effect.fail(new UsageError("--model is missing")) : openModel(values.model)

/** Fails for an encoder: what is to be done with it takes a decoder. */
export const refuseEncoder = ({ architecture, name }: Model, what: string): Effect.Effect<void, CommandFailed> =>
  architecture.encoder
    ? Effect.fail(new CommandFailed({ detail: `${name} is an encoder (${architecture.family}): it cannot be ${what}` }))
    : Effect.void

/**
 * Opens the model and the way to its blocks that the options name.
 *
 * @param cut The spans of a local run. To the bit, only runs of the same cut are equal. Default: one span of all blocks.
 */
export const openRunnable = (
  values: WhereValues,
  cut?: ReadonlyArray<BlockRange>
): Effect.Effect<Runnable, Failure, Engine | Scope.Scope> =>
  Effect.gen(function* () {
    if (values.local === (values.mdns || values.join.length > 0)) {
      return yield* Effect.fail(new UsageError("give either --local, or --join with the address of a server"))
    }
    const model = yield* modelOf(values)
    // alone in this process: nothing waits for the event loop
    const options = { ...spanOptions(values), blocking: values.local }
    const head = yield* loadHead(model, options)
    const pipeline = values.local
      ? yield* localBlocks(model, options, cut ?? [{ from: 0, to: model.blocks }])
      : yield* remoteBlocks(model, values)
    return { model, head, pipeline, isLocal: values.local }
  })

const localBlocks = (model: Model, options: SpanOptions, cut: ReadonlyArray<BlockRange>) =>
  Effect.map(
    Effect.forEach(cut, ({ from, to }) => loadSpan(model, from, to, options)),
    (spans) => (maxTokens: number) =>
      Effect.acquireRelease(
        Effect.sync((): Pipeline => localPipeline(spans, maxTokens)),
        (made) => Effect.promise(made.close)
      )
  )

const remoteBlocks = (model: Model, values: WhereValues) =>
  Effect.gen(function* () {
    const context = yield* Layer.build(
      clientLayer(values.join, yield* clientMember(values), { model: model.digest, mdns: values.mdns })
    )
    const [swarm, discovery] = yield* Effect.provide(Effect.all([Swarm, Discovery]), context)
    yield* discovery.refresh.pipe(Effect.mapError((cause) => new CommandFailed({ detail: cause.message })))
    const graceSeconds = values["grace-seconds"]
    const codec: WireCodec = codecOf(values)
    const served = { digest: model.digest, name: model.name, blocks: model.blocks, hiddenSize: model.hiddenSize }
    return (maxTokens: number, onEvent?: (event: ChainEvent) => void) =>
      swarm.open({
        model: served,
        maxTokens,
        codec,
        ...(graceSeconds === undefined ? {} : { graceSeconds }),
        ...(onEvent === undefined ? {} : { onEvent })
      })
  })

/** Says what happens to a chain. */
export const chainEvents =
  (output: Output) =>
  (event: ChainEvent): void => {
    const say = (fields: Record<string, unknown>, text: string) =>
      output.isJson ? output.event({ event: "recovery", ...fields }) : output.note(output.dim(`  ${text}`))
    switch (event._tag) {
      case "Opened":
        output.event({ event: "route", route: routeField(event.hops) })
        return
      case "FailureSeen":
        say(
          {
            phase: "failure",
            peer: event.peer,
            blocks: blocksField(event.blocks),
            reason: event.reason,
            position: event.position
          },
          `server ${event.peer.slice(0, 8)} (blocks ${event.blocks.from}:${event.blocks.to}) is lost: ${event.reason}`
        )
        return
      case "Waiting":
        say(
          { phase: "waiting", missing: event.missing, graceSeconds: event.graceSeconds },
          `waiting for a server for ${event.graceSeconds} s`
        )
        return
      case "ReplacementChosen":
        say(
          { phase: "replacement", peers: event.hops.map(({ peer }) => peer), exact: event.exact },
          `replaced by ${event.hops.map(({ peer }) => peer.slice(0, 8)).join(", ")}${event.exact ? ", exact to the bit" : ", equivalent"}`
        )
        return
      case "Replayed":
        say(
          { phase: "replayed", tokens: event.tokens, milliseconds: event.milliseconds },
          `replayed ${event.tokens} rows`
        )
        return
      case "Resumed":
        say(
          { phase: "resumed", pauseMs: event.pauseMilliseconds, exact: event.exact },
          `goes on after ${Math.round(event.pauseMilliseconds)} ms`
        )
    }
  }

/** Route, recoveries and pauses of a pipeline, as the last line of a command tells them. */
export const chainFigures = (pipeline: Pipeline | Chain) => ({
  route: "route" in pipeline ? routeField(pipeline.route()) : [],
  recoveries: "recoveries" in pipeline ? pipeline.recoveries() : 0,
  pausesMs: "pauses" in pipeline ? pipeline.pauses().map((pause) => Math.round(pause)) : []
})
