/**
 * A group's channel with deadlines, counted traffic and one fault for all.
 * @module
 */
import type { Channel } from "./Channel.ts"
import { RankLost, type RankLostReason } from "./RankLost.ts"

/** What a rank has sent. */
export interface Traffic {
  /** Payload bytes, without the 8 bytes that each message carries before them. */
  readonly bytes: number
  readonly messages: number
  /** Rounds: messages of one round are under way together, the next round waits for them. */
  readonly steps: number
}

/** How a group is run. */
export interface CommunicatorOptions {
  /**
   * Milliseconds that one message may take to come before its sender counts as lost. Longer than the slowest rank
   * computes between two collectives.
   * @default {10000}
   */
  readonly deadlineMs?: number
  /**
   * Number of this group since the start, 0 .. 65535: messages of an earlier one, still on their way, are dropped.
   * @default {0}
   */
  readonly generation?: number
}

/** A message's payload and the tag that its sender gave it (0 .. 255: which codec). */
export interface Message {
  readonly tag: number
  readonly payload: Uint8Array
}

/** One rank of a group at work. */
export interface Communicator {
  readonly rank: number
  readonly size: number
  /** Sends a tagged payload. Rejects with `RankLost`. */
  readonly send: (rank: number, tag: number, payload: Uint8Array) => Promise<void>
  /**
   * The next message of a rank. Rejects with `RankLost`, after the deadline at the latest. One at a time, so that no
   * receive is left over that would take a later group's message.
   */
  readonly receive: (rank: number) => Promise<Message>
  /** As `receive`, however long it takes: for a rank that has nothing to do until another one says so. */
  readonly awaitNext: (rank: number) => Promise<Message>
  /** Counts a round. */
  readonly step: () => void
  /** What was sent so far. */
  readonly traffic: () => Traffic
  /**
   * Runs a collective after those already asked for, in the order of the calls, which must be the same on all ranks.
   * A collective that throws ends the group.
   */
  readonly exclusive: <A>(collective: () => Promise<A>) => Promise<A>
  /** Ends the group because of a rank, and tells the others: for a message that is not what is due. */
  readonly fault: (rank: number, reason: RankLostReason) => RankLost
  /** The fault that ended the group, if one did. */
  readonly lost: () => RankLost | undefined
  /** Settles, never rejects, when a fault ends the group. */
  readonly ended: Promise<RankLost>
}

const HEADER = 8
const DATA = 1
const FAULT = 2

/**
 * Opens a group over a channel. Throws `RangeError` for a generation out of range.
 *
 * Whoever notices a loss tells all the others which rank it was: those that wait for a rank which gave up learn the
 * culprit from it, and no rank waits longer than the deadline for any message. The notice goes out before anything that its
 * sender sends in a later group, so an old group never reads a message of a new one. Header of a message: kind u8, tag u8,
 * generation u16, number of the message on this pair u32 (of a fault: the lost rank); little-endian.
 */
export const communicator = (channel: Channel, options: CommunicatorOptions = {}): Communicator => {
  const { deadlineMs = 10_000, generation = 0 } = options
  if (!Number.isInteger(generation) || generation < 0 || generation > 0xffff) {
    throw new RangeError(`Cannot open generation ${generation} of a group: not in 0 to 65535`)
  }
  const sent = new Uint32Array(channel.size)
  const received = new Uint32Array(channel.size)
  const counts = { bytes: 0, messages: 0, steps: 0 }
  let lost: RankLost | undefined
  let end: (fault: RankLost) => void = () => {}
  const ended = new Promise<RankLost>((resolve) => {
    end = resolve
  })
  let tail: Promise<unknown> = Promise.resolve()

  const frame = (kind: number, tag: number, number: number, payload: Uint8Array): Uint8Array => {
    const bytes = new Uint8Array(HEADER + payload.length)
    const view = new DataView(bytes.buffer)
    view.setUint8(0, kind)
    view.setUint8(1, tag)
    view.setUint16(2, generation, true)
    view.setUint32(4, number, true)
    bytes.set(payload, HEADER)
    return bytes
  }

  const lose = (rank: number, reason: RankLostReason, cause?: unknown): RankLost => {
    if (lost !== undefined) return lost
    lost = new RankLost({ rank, reason, cause })
    end(lost)
    const notice = frame(FAULT, 0, rank, new Uint8Array())
    for (let peer = 0; peer < channel.size; peer++) {
      // Peers that are gone too cannot be told, and need not be.
      if (peer === channel.rank || peer === rank) continue
      const told = async () => channel.send(peer, notice)
      told().catch(() => {})
    }
    return lost
  }

  const next = async (rank: number): Promise<Uint8Array> => {
    try {
      return await channel.receive(rank)
    } catch (cause) {
      throw lose(rank, "closed", cause)
    }
  }

  const before = (rank: number, until: number): Promise<Uint8Array> =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(lose(rank, "deadline")), Math.max(0, until - performance.now()))
      next(rank)
        .then(resolve, reject)
        .finally(() => clearTimeout(timer))
    })

  const receive = async (rank: number, milliseconds: number): Promise<Message> => {
    if (lost !== undefined) throw lost
    const until = performance.now() + milliseconds
    for (;;) {
      const bytes = await (until === Number.POSITIVE_INFINITY ? next(rank) : before(rank, until))
      if (lost !== undefined) throw lost
      if (bytes.length < HEADER) throw lose(rank, "desync")
      const view = new DataView(bytes.buffer, bytes.byteOffset)
      // A remnant of a group that broke.
      if (view.getUint16(2, true) !== generation) continue
      const number = view.getUint32(4, true)
      if (view.getUint8(0) === FAULT) throw lose(number < channel.size ? number : rank, "told")
      if (view.getUint8(0) !== DATA || number !== received[rank]) throw lose(rank, "desync")
      received[rank] = number + 1
      return { tag: view.getUint8(1), payload: bytes.subarray(HEADER) }
    }
  }

  const send = async (rank: number, tag: number, payload: Uint8Array): Promise<void> => {
    if (lost !== undefined) throw lost
    const number = sent[rank] ?? 0
    sent[rank] = number + 1
    counts.bytes += payload.length
    counts.messages++
    try {
      await channel.send(rank, frame(DATA, tag, number, payload))
    } catch (cause) {
      throw lose(rank, "closed", cause)
    }
  }

  const exclusive = <A>(collective: () => Promise<A>): Promise<A> => {
    const result = tail.then(async () => {
      if (lost !== undefined) throw lost
      try {
        return await collective()
      } catch (error) {
        // Peers wait for messages that will not come now.
        if (!(error instanceof RankLost)) lose(channel.rank, "closed", error)
        throw error
      }
    })
    tail = result.catch(() => {})
    return result
  }

  return {
    rank: channel.rank,
    size: channel.size,
    send,
    receive: (peer) => receive(peer, deadlineMs),
    awaitNext: (peer) => receive(peer, Number.POSITIVE_INFINITY),
    step: () => {
      counts.steps++
    },
    traffic: () => ({ ...counts }),
    exclusive,
    fault: lose,
    lost: () => lost,
    ended
  }
}
