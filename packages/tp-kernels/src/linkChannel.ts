/**
 * A rank's channel over one two-way link to each of its peers: sockets, message ports, connections of any kind.
 * @module
 */
import type { Channel } from "./Channel.ts"
import { mailbox } from "./internal/mailbox.ts"

/** One end of a two-way link of whole, ordered messages. */
export interface MessageLink {
  /** Sends; the message is the link's from here on. */
  readonly send: (message: Uint8Array) => void
  /** Sets who gets the messages, and who is told that no more will come. Called once. */
  readonly listen: (receive: (message: Uint8Array) => void, ended: () => void) => void
}

/**
 * The channel of `rank` over `links`, one to each other rank (undefined at its own place). The end of a link rejects the
 * receives from that peer, once what came before has been taken.
 */
export const linkChannel = (rank: number, links: ReadonlyArray<MessageLink | undefined>): Channel => {
  const boxes = links.map((link, from) => {
    const box = mailbox()
    link?.listen(box.put, () => box.close(new Error(`rank ${from} has closed`)))
    return box
  })
  const at = <A>(items: ReadonlyArray<A | undefined>, peer: number): A => {
    const item = peer === rank ? undefined : items[peer]
    if (item === undefined) throw new RangeError(`Rank ${rank} has no link to rank ${peer}`)
    return item
  }
  return {
    rank,
    size: links.length,
    send: (to, bytes) => at(links, to).send(bytes),
    receive: (from) => at(boxes, from).take()
  }
}
