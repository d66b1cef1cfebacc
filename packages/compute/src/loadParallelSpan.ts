/**
 * A span that several ranks compute together: rank 0's part is loaded here, the others' where they are.
 * @module
 */
import { randomBytes } from "node:crypto"
import type { Engine, EngineError } from "@swarm/engine"
import { type Model, Unsupported } from "@swarm/model"
import { communicator, linkChannel, PlanError, type RankLost, type Traffic } from "@swarm/tp-kernels"
import { type Channel, Transport } from "@swarm/transport"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { GroupFailed, type ProbeFailed, type WeightCacheError } from "./ComputeError.ts"
import { encodeMessage, type GroupMessage, type Inbox, type Invitation, inbox, linkOf } from "./groupMessages.ts"
import { leadRanks } from "./leadRanks.ts"
import { probed, type SpanOptions } from "./loadSpan.ts"
import { makePace } from "./pace.ts"
import { prepareSpan } from "./prepareSpan.ts"
import type { Span } from "./Span.ts"

/** A span over a group of ranks. */
export interface ParallelSpan extends Span {
  readonly ranks: number
  /** What rank 0 has sent so far. */
  readonly traffic: () => Traffic
  /** Settles when a rank is lost, also between runs: the span then runs no more. */
  readonly lost: Promise<GroupFailed>
}

/** How to load a span over several ranks. */
export interface ParallelOptions extends SpanOptions {
  /** Addresses of ranks 1 and on, where `hostRank` listens. */
  readonly ranks: ReadonlyArray<string>
  /** Milliseconds that a rank may be silent in a run until it counts as lost. @default 10000 */
  readonly deadlineMs?: number
  /** Milliseconds that a rank may take to load its part. @default 600000 */
  readonly loadMs?: number
}

const DEADLINE = 10_000
const LOAD = 600_000

/**
 * Loads blocks [from, to) of `model` in `1 + options.ranks.length` parts. Every rank reads the weights of its own part
 * only. Everything is freed with the scope, which ends the group.
 *
 * Fails with `PlanError` for a model that does not divide, `Unsupported` for one that ranks cannot compute, `GroupFailed`
 * for a rank that is not there or cannot hold its part.
 */
export const loadParallelSpan = (
  model: Model,
  from: number,
  to: number,
  options: ParallelOptions
): Effect.Effect<
  ParallelSpan,
  EngineError | WeightCacheError | ProbeFailed | GroupFailed | PlanError | Unsupported,
  Engine | Transport | Scope.Scope
> =>
  Effect.gen(function* () {
    const { ranks: addresses, reproducible = true, maxSessions = 8, threads = 1 } = options
    const ranks = addresses.length + 1
    const { weights, group, activations, maxPositions } = options
    const name = randomBytes(16).toString("hex")
    const invitation = {
      ...{ kind: "invite" as const, group: name, addresses, model: model.digest, from, to, reproducible },
      plan: {
        ...(weights === undefined ? {} : { weights }),
        ...(group === undefined ? {} : { group }),
        ...(activations === undefined ? {} : { activations }),
        ...(maxPositions === undefined ? {} : { maxPositions })
      }
    }
    // what cannot be cut is known before anybody is asked
    yield* checkShards(model, from, to, ranks, options)
    const members = yield* Effect.forEach(addresses, (address, i) => invite(address, { ...invitation, rank: i + 1 }))
    const prepared = yield* prepareSpan(model, from, to, { ...options, shard: { rank: 0, ranks } })
    const parts = yield* Effect.forEach(members, (member) => ready(member, options.loadMs ?? LOAD))
    const channel = linkChannel(0, [undefined, ...members.map((member) => linkOf(member.channel))])
    const ring = communicator(channel, { deadlineMs: options.deadlineMs ?? DEADLINE })
    const pace = makePace(options.blocking ?? false)
    const span = yield* leadRanks(prepared, ring, { reproducible, maxSessions, threads, pace })
    const parallel: ParallelSpan = {
      ...span,
      weightBytes: parts.reduce((sum, bytes) => sum + bytes, prepared.weights.bytes),
      kvBytesPerToken: span.kvBytesPerToken * ranks,
      ranks,
      traffic: ring.traffic,
      lost: Promise.race([...members.map(lost), ring.ended.then((fault) => fromFault(fault, addresses))])
    }
    return yield* probed(parallel)
  })

/** Fails as `loadParallelSpan` does for a model that `ranks` ranks cannot share. Loads nothing. */
export const checkShards = (
  model: Model,
  from: number,
  to: number,
  ranks: number,
  options: SpanOptions = {}
): Effect.Effect<void, PlanError | Unsupported> =>
  Effect.suspend(() => {
    try {
      model.span(from, to, { ...options, shard: { rank: 0, ranks } })
      return Effect.void
    } catch (cause) {
      return cause instanceof PlanError || cause instanceof Unsupported ? Effect.fail(cause) : Effect.die(cause)
    }
  })

interface Member {
  readonly rank: number
  readonly address: string
  readonly channel: Channel
  readonly messages: Inbox
}

const failed = ({ rank, address }: Pick<Member, "rank" | "address">, detail: string, cause?: unknown) =>
  new GroupFailed({ rank, address, detail, cause })

/** Settles when the other end is gone; never when this one closes. */
const lost = (member: Member): Promise<GroupFailed> =>
  new Promise((resolve) => {
    void member.channel.closed.then((closed) => {
      if (closed.reason !== "local") resolve(failed(member, `is lost (${closed.reason})`, closed))
    })
  })

const fromFault = (fault: RankLost, addresses: ReadonlyArray<string>): GroupFailed => {
  const address = addresses[fault.rank - 1]
  const detail = `is lost (${fault.reason})`
  return new GroupFailed({ rank: fault.rank, detail, cause: fault, ...(address === undefined ? {} : { address }) })
}

const invite = (address: string, invitation: Invitation) =>
  Effect.gen(function* () {
    const { rank } = invitation
    const transport = yield* Transport
    const channel = yield* Effect.mapError(transport.dial(address), (cause) =>
      failed({ rank, address }, `cannot be reached: ${cause.message}`, cause)
    )
    const member: Member = { rank, address, channel, messages: inbox(channel) }
    channel.send(encodeMessage(invitation))
    yield* answer(member, "invited", INVITE)
    return member
  })

/** Milliseconds to answer an invitation. */
const INVITE = 10_000

const ready = (member: Member, milliseconds: number) =>
  Effect.map(answer(member, "ready", milliseconds), ({ weightBytes }) => weightBytes)

/** The message that is due. */
const answer = <K extends GroupMessage["kind"]>(member: Member, kind: K, milliseconds: number) =>
  Effect.gen(function* () {
    const message = yield* Effect.promise(() => member.messages.next()).pipe(
      Effect.timeoutFail({
        duration: milliseconds,
        onTimeout: () => failed(member, `did not answer within ${milliseconds / 1000} s`)
      })
    )
    if (message?.kind === "refused") return yield* failed(member, `refuses its part: ${message.detail}`)
    if (message?.kind !== kind) return yield* failed(member, "has closed the connection while the group was formed")
    return message as Extract<GroupMessage, { readonly kind: K }>
  })
