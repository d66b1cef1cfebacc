/**
 * Ranks in one thread: plain, or over links with a set latency and rate on a clock of their own.
 * @module
 */
import type { Channel } from "./Channel.ts"
import { type Mailbox, mailbox } from "./internal/mailbox.ts"

/** A group in one thread. */
export interface MemoryGroup {
  readonly channels: ReadonlyArray<Channel>
  /**
   * Ends a rank. With `notice` its peers' pending and later receives reject, as over a closed socket; without, it is
   * silent, as a machine without power.
   */
  readonly kill: (rank: number, notice: boolean) => void
}

const at = <A>(items: ReadonlyArray<A>, index: number): A => {
  const item = items[index]
  if (item === undefined) throw new RangeError(`No rank ${index} in a group of ${items.length}`)
  return item
}

/** `size` ranks that hand their messages to one another. */
export const memoryChannels = (size: number): MemoryGroup => {
  const boxes: ReadonlyArray<ReadonlyArray<Mailbox>> = Array.from({ length: size }, () =>
    Array.from({ length: size }, mailbox)
  )
  const dead = new Set<number>()
  const channels = boxes.map((inbox, rank) => ({
    rank,
    size,
    send: (to: number, bytes: Uint8Array) => {
      const target = at(boxes, to)
      if (!dead.has(rank)) at(target, rank).put(bytes)
    },
    receive: (from: number) => at(inbox, from).take()
  }))
  const kill = (rank: number, notice: boolean): void => {
    dead.add(rank)
    for (const box of at(boxes, rank)) box.close(new Error(`rank ${rank} has ended`))
    if (notice) for (const inbox of boxes) at(inbox, rank).close(new Error(`rank ${rank} has closed`))
  }
  return { channels, kill }
}

/** A directed link: a message of n bytes takes `latency + n * secondsPerByte`. */
export interface Link {
  /** Seconds until the first byte arrives. */
  readonly latency: number
  /** Seconds of the sender's port per byte. */
  readonly secondsPerByte: number
}

/** One rank on links with a clock. */
export interface EmulatedChannel extends Channel {
  /** Seconds on this rank's own clock. */
  readonly now: () => number
  /** Lets seconds pass on this rank, for work that it did. */
  readonly advance: (seconds: number) => void
}

/**
 * `size` ranks in one thread over emulated links. Time does not pass for real: each rank has a clock; a message leaves
 * when the sender's port is free, and a receive moves the receiver's clock to its arrival. So results are the same on
 * every run and every machine. Sending and receiving overlap (full duplex); a receiver's port is never the bottleneck.
 */
export const emulatedChannels = (
  size: number,
  link: (from: number, to: number) => Link
): ReadonlyArray<EmulatedChannel> => {
  const { channels } = memoryChannels(size)
  const arrivals = Array.from({ length: size }, () => Array.from({ length: size }, (): Array<number> => []))
  return channels.map((channel) => {
    let clock = 0
    let free = 0
    return {
      ...channel,
      now: () => clock,
      advance: (seconds) => {
        clock += seconds
      },
      send: (to, bytes) => {
        const { latency, secondsPerByte } = link(channel.rank, to)
        free = Math.max(clock, free) + bytes.length * secondsPerByte
        at(at(arrivals, to), channel.rank).push(free + latency)
        return channel.send(to, bytes)
      },
      receive: async (from) => {
        const bytes = await channel.receive(from)
        clock = Math.max(clock, at(at(arrivals, channel.rank), from).shift() ?? 0)
        return bytes
      }
    }
  })
}
