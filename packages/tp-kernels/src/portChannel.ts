/**
 * Ranks in worker threads of one process, joined by message ports.
 * @module
 */
import { MessageChannel, type MessagePort } from "node:worker_threads"
import type { Channel } from "./Channel.ts"
import { mailbox } from "./internal/mailbox.ts"

/** Ports for a full mesh: `mesh[r][s]` goes to rank r (transfer it to its thread) and leads to rank s; absent for r = s. */
export const portMesh = (size: number): ReadonlyArray<ReadonlyArray<MessagePort | undefined>> => {
  const mesh: Array<Array<MessagePort | undefined>> = Array.from({ length: size }, () =>
    new Array<MessagePort | undefined>(size).fill(undefined)
  )
  mesh.forEach((row, r) => {
    for (let s = r + 1; s < size; s++) {
      const { port1, port2 } = new MessageChannel()
      row[s] = port1
      const other = mesh[s]
      if (other !== undefined) other[r] = port2
    }
  })
  return mesh
}

/** A channel over ports, with an end. */
export interface PortChannel extends Channel {
  /** Closes the ports: peers' receives reject. */
  readonly close: () => void
}

/**
 * The channel of a rank over its row of {@link portMesh}. A message is copied once, then moved to the other thread. When
 * a thread ends, its ports close and its peers' receives reject.
 */
export const portChannel = (rank: number, ports: ReadonlyArray<MessagePort | undefined>): PortChannel => {
  const boxes = ports.map((port, from) => {
    const box = mailbox()
    port?.on("message", (bytes: Uint8Array) => box.put(bytes))
    port?.on("close", () => box.close(new Error(`rank ${from} has closed`)))
    return box
  })
  return {
    rank,
    size: ports.length,
    send: (to, bytes) => {
      const port = ports[to]
      if (port === undefined) throw new RangeError(`Rank ${rank} has no port to rank ${to}`)
      const copy = bytes.slice()
      port.postMessage(copy, [copy.buffer])
    },
    receive: (from) => {
      const box = boxes[from]
      if (box === undefined) throw new RangeError(`Rank ${rank} has no port from rank ${from}`)
      return box.take()
    },
    close: () => {
      for (const port of ports) port?.close()
    }
  }
}
