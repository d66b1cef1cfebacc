/**
 * What a collective needs of a carrier: ordered messages between the ranks of a group.
 * @module
 */

/**
 * One rank's end of a group. Between two ranks messages arrive in the order they were sent, whole, or not at all.
 *
 * A carrier that notices the loss of a peer rejects `receive` (and `send`); one that notices nothing is covered by
 * the communicator's deadline.
 */
export interface Channel {
  /** 0 .. size-1 */
  readonly rank: number
  readonly size: number
  /**
   * Sends to another rank; `bytes` are the carrier's from here on (moved: never change them again). It may resolve before
   * the peer has received: nobody waits for a peer's `receive`.
   */
  readonly send: (rank: number, bytes: Uint8Array) => void | Promise<void>
  /** The next message from a rank; the receiver owns it. At most one `receive` per rank is pending at a time. */
  readonly receive: (rank: number) => Promise<Uint8Array>
}

/**
 * The channel of a part of a group, ranks renumbered in the order of `members` (ranks of `channel`, its own included):
 * for the survivors of a fault, with a new generation, or one node of many.
 *
 * Throws `RangeError` if `members` repeats a rank, holds none of them or leaves out the channel's own.
 */
export const subgroup = (channel: Channel, members: ReadonlyArray<number>): Channel => {
  const rank = members.indexOf(channel.rank)
  const unknown = members.find((member) => !Number.isInteger(member) || member < 0 || member >= channel.size)
  if (rank < 0 || unknown !== undefined || new Set(members).size !== members.length) {
    throw new RangeError(
      `Cannot make a group of ranks ${members.join(", ")} for rank ${channel.rank} of ${channel.size}`
    )
  }
  const peer = (at: number): number => {
    const member = members[at]
    if (member === undefined) throw new RangeError(`No rank ${at} in a group of ${members.length}`)
    return member
  }
  return {
    rank,
    size: members.length,
    send: (to, bytes) => channel.send(peer(to), bytes),
    receive: (from) => channel.receive(peer(from))
  }
}
