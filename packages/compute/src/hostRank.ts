/**
 * Where a rank lives: it waits for an invitation, holds its part of a span while the group lasts, and waits again.
 * @module
 */
import type { Engine } from "@swarm/engine"
import type { Model } from "@swarm/model"
import { type Communicator, communicator, linkChannel } from "@swarm/tp-kernels"
import { type Channel, type ListenError, Transport } from "@swarm/transport"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import type * as Scope from "effect/Scope"
import { followRank } from "./followRank.ts"
import { encodeMessage, type GroupMessage, type Invitation, inbox, linkOf } from "./groupMessages.ts"
import { sumOver } from "./groupTraffic.ts"
import { makePace } from "./pace.ts"
import { prepareSpan } from "./prepareSpan.ts"
import { loadSegments } from "./segments.ts"

/** How a rank is hosted. */
export interface HostOptions {
  /** Where to listen, such as "ws://0.0.0.0:7100". */
  readonly listen: string
  /** Threads of a run. @default 1 */
  readonly threads?: number
  /** Where packed weights are kept. @default `cacheFolder()` */
  readonly weightFolder?: string
  /** Milliseconds that another rank may be silent in a run until it counts as lost. @default 10000 */
  readonly deadlineMs?: number
  /** Called when a group begins to compute, and when it has ended: with what ended it, or without when rank 0 did. */
  readonly onGroup?: (event: GroupEvent) => void
}

export type GroupEvent =
  | {
      readonly kind: "begun"
      readonly rank: number
      readonly ranks: number
      readonly blocks: readonly [from: number, to: number]
      /** The rank's communicator, for its counts. */
      readonly group: Pick<Communicator, "traffic">
    }
  | { readonly kind: "ended"; readonly cause?: Cause.Cause<unknown> }

/** A place for a rank. */
export interface RankHost {
  /** Address to invite it at. */
  readonly address: string
}

/** Milliseconds until a rank above must have joined. */
const JOIN = 60_000

/** The group that a host belongs to. */
interface Membership {
  readonly group: string
  /** Channels of the ranks above. */
  readonly above: ReadonlyMap<number, Deferred.Deferred<Channel>>
}

/** Hosts ranks of `model`, of one group at a time, until the scope closes. */
export const hostRank = (
  model: Model,
  options: HostOptions
): Effect.Effect<RankHost, ListenError, Engine | Transport | Scope.Scope> =>
  Effect.gen(function* () {
    const transport = yield* Transport
    const run = yield* FiberSet.makeRuntime<Engine | Transport>()
    let current: Membership | undefined

    const accept = async (channel: Channel): Promise<void> => {
      const first = await inbox(channel).next()
      if (first?.kind === "invite") {
        if (current !== undefined) return refuse(channel, "it belongs to another group")
        if (first.model !== model.digest) return refuse(channel, `it has other weights: digest ${model.digest}`)
        const above = new Map<number, Deferred.Deferred<Channel>>()
        for (let rank = first.rank + 1; rank <= first.addresses.length; rank++)
          above.set(rank, Effect.runSync(Deferred.make<Channel>()))
        const membership: Membership = { group: first.group, above }
        current = membership
        run(
          member(model, options, channel, first, above).pipe(
            Effect.scoped,
            Effect.matchCause({
              onFailure: (cause) => options.onGroup?.({ kind: "ended", cause }),
              onSuccess: () => options.onGroup?.({ kind: "ended" })
            }),
            Effect.ensuring(Effect.sync(() => (current = undefined)))
          )
        )
      } else if (first?.kind === "join" && first.group === current?.group && current.above.has(first.rank)) {
        const place = current.above.get(first.rank)
        if (place !== undefined) Effect.runSync(Deferred.succeed(place, channel))
      } else channel.close("no invitation")
    }
    const address = yield* transport.listen(options.listen, (channel) => void accept(channel))
    return { address }
  })

const refuse = (channel: Channel, detail: string): void => {
  channel.send(encodeMessage({ kind: "refused", detail }))
  channel.close()
}

/** A rank's life in a group. */
const member = (
  model: Model,
  options: HostOptions,
  leader: Channel,
  invitation: Invitation,
  above: Membership["above"]
) =>
  Effect.gen(function* () {
    const { group: name, rank, addresses, from, to, reproducible } = invitation
    const { threads = 1 } = options
    const ranks = addresses.length + 1
    const channels: Array<Channel | undefined> = [leader]
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        for (const channel of channels) channel?.close("the group has ended")
      })
    )
    const say = (message: GroupMessage) => leader.send(encodeMessage(message))
    say({ kind: "invited" })
    const form = Effect.gen(function* () {
      const transport = yield* Transport
      for (let below = 1; below < rank; below++) {
        const channel = yield* transport.dial(addresses[below - 1] ?? "")
        channel.send(encodeMessage({ kind: "join", group: name, rank }))
        channels[below] = channel
      }
      const prepared = yield* prepareSpan(model, from, to, {
        ...invitation.plan,
        ...(options.weightFolder === undefined ? {} : { weightFolder: options.weightFolder }),
        shard: { rank, ranks }
      })
      for (const [peer, place] of above) channels[peer] = yield* Deferred.await(place).pipe(Effect.timeout(JOIN))
      const links = Array.from({ length: ranks }, (_, peer) => {
        const channel = channels[peer]
        return peer === rank || channel === undefined ? undefined : linkOf(channel)
      })
      const group = communicator(linkChannel(rank, links), { deadlineMs: options.deadlineMs ?? 10_000 })
      const single = yield* loadSegments(prepared.engine, prepared.plan, prepared.weights, {
        ...{ sessions: 1, duplicate: false, threads },
        ...{ reduce: sumOver(group), pace: makePace(true) }
      })
      return { prepared, group, single }
    }).pipe(Effect.tapErrorCause((cause) => Effect.sync(() => say({ kind: "refused", detail: detailOf(cause) }))))
    const { prepared, group, single } = yield* form
    say({ kind: "ready", weightBytes: prepared.weights.bytes })
    options.onGroup?.({ kind: "begun", rank, ranks, blocks: [from, to], group })
    yield* followRank(prepared, group, single, { reproducible, threads })
  })

const detailOf = (cause: Cause.Cause<unknown>): string => {
  const error = Cause.squash(cause)
  return (error instanceof Error ? error.message : String(error)).slice(0, 2000)
}
