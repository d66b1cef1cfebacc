/**
 * The fault of a group that lost a rank.
 * @module
 */

/**
 * How it was noticed: `deadline` passed without a message, the carrier `closed`, another rank `told`, or a message was
 * not the one due (`desync`: a peer runs another plan, or an old generation).
 */
export type RankLostReason = "deadline" | "closed" | "told" | "desync"

/** What a {@link RankLost} says. */
export interface RankLostFields {
  readonly rank: number
  readonly reason: RankLostReason
  readonly cause?: unknown
}

/**
 * A rank of the group is gone, and with it its part of every layer. *Elsewhere*: the operation gave no result on any
 * rank that throws this, and the communicator refuses all further work. Make a new group, of another generation, with
 * shards for its size, or send the request to another server.
 */
export class RankLost extends Error {
  readonly _tag = "RankLost"
  /**
   * The lost rank. With `closed` it is certain; with `deadline` it is the one that was waited for, which may itself have
   * waited for another: ask who still answers before a new group is made.
   */
  readonly rank: number
  readonly reason: RankLostReason

  constructor({ rank, reason, cause }: RankLostFields) {
    super(`Rank ${rank} of the group is lost (${reason})`, { cause })
    this.name = "RankLost"
    this.rank = rank
    this.reason = reason
  }
}
