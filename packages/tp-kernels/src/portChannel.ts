/**
 * Ranks in worker threads of one process, joined by message ports.
 * @module
 */
import { MessageChannel, type MessagePort } from "node:worker_threads"
import type { Channel } from "./Channel.ts"
import { linkChannel, type MessageLink } from "./linkChannel.ts"

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
 * The channel of a rank over its row of {@link portMesh}. A message is moved to the other thread, not copied. When a
 * thread ends, its ports close and its peers' receives reject.
 */
export const portChannel = (rank: number, ports: ReadonlyArray<MessagePort | undefined>): PortChannel => ({
  ...linkChannel(
    rank,
    ports.map((port) => port && portLink(port))
  ),
  close: () => {
    for (const port of ports) port?.close()
  }
})

const portLink = (port: MessagePort): MessageLink => ({
  send: (message) => {
    const { buffer, byteLength } = message
    // a view would move, and so take away, more than the message
    const whole = buffer instanceof ArrayBuffer && buffer.byteLength === byteLength ? message : message.slice()
    port.postMessage(whole, [whole.buffer as ArrayBuffer])
  },
  listen: (receive, ended) => {
    port.on("message", receive)
    port.on("close", ended)
  }
})
