/**
 * Where a server of `--blocks auto` belongs: what fits, where it joins, whether it should move.
 * @module
 */
import * as os from "node:os"
import { blocksThatFit, isChained, joinWhole, type Placed, placedOf, rebalanceWhole } from "@swarm/balancer"
import { kvBytesPerToken, type Model, type SpanPlan } from "@swarm/model"
import type { Announcement, BlockRange } from "@swarm/protocol"

/** What a process takes besides weights and caches. */
const BASE_BYTES = 150e6
/** Tokens per second through one block of a machine of which nothing is known. */
const UNKNOWN_RATE = 300
/** Sessions of the greatest length that a server sets memory aside for by default, as `@swarm/server` does. */
const SESSIONS = 16

/** What decides how many blocks fit. */
export interface Needs {
  /** Bytes of the weights of one block. */
  readonly blockBytes: number
  /** Greatest length of a session in tokens. */
  readonly maxTokens: number
  /** Memory for all KV caches, where it was given. */
  readonly kvBytes: number | undefined
}

/** Bytes of the weights of one block of a plan, in the mean. */
export const bytesPerBlock = ({ initializers, from, to }: SpanPlan): number =>
  initializers.reduce((sum, { bytes }) => sum + bytes, 0) / (to - from)

/** Blocks that fit in the memory that is free now, beside what this process holds. */
export const countThatFits = (model: Model, { blockBytes, maxTokens, kvBytes }: Needs): number => {
  const cache = kvBytesPerToken(model.architecture) * SESSIONS * maxTokens
  const room = {
    memory: os.freemem(),
    reserved: BASE_BYTES + (kvBytes ?? 0),
    weights: blockBytes,
    cache: kvBytes === undefined ? cache : 0
  }
  return blocksThatFit(room, model.blocks)
}

const servers = (announcements: ReadonlyArray<Announcement>, model: Model): ReadonlyArray<Placed> =>
  placedOf(announcements, model.digest, model.blocks, { whole: true })

/** The blocks for a newcomer; at least one, since somebody asked. */
export const chooseBlocks = (announcements: ReadonlyArray<Announcement>, model: Model, count: number): BlockRange =>
  joinWhole(servers(announcements, model), model.blocks, Math.max(1, count))

/** A rate to announce before anything was measured: that of the others, or a guess. */
export const likelyRate = (announcements: ReadonlyArray<Announcement>): number => {
  const rates = announcements.map(({ decodeRate }) => decodeRate).filter((rate) => rate > 0)
  return rates.length === 0 ? UNKNOWN_RATE : rates.reduce((sum, rate) => sum + rate, 0) / rates.length
}

/** The blocks to which the server `own` should move, `count` of them at most; undefined: stay. */
export const chooseMove = (
  announcements: ReadonlyArray<Announcement>,
  own: Announcement,
  model: Model,
  count: number
): BlockRange | undefined =>
  count < 1 ? undefined : rebalanceWhole(own.peer, servers([...announcements, own], model), model.blocks, count).move

/** Whether the servers of `announcements` hold all blocks, as a chain of whole spans; those that join count. */
export const isServed = (announcements: ReadonlyArray<Announcement>, model: Model): boolean =>
  isChained(servers(announcements, model), model.blocks)
