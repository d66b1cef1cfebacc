/**
 * A queue of messages with promises for those that have not come yet.
 * @module
 */

/** One direction between two ranks. */
export interface Mailbox {
  readonly put: (bytes: Uint8Array) => void
  readonly take: () => Promise<Uint8Array>
  /** Rejects who waits, and every `take` once the queue is empty. */
  readonly close: (error: Error) => void
}

export const mailbox = (): Mailbox => {
  const messages: Array<Uint8Array> = []
  const waiting: Array<{ readonly resolve: (bytes: Uint8Array) => void; readonly reject: (error: Error) => void }> = []
  let closed: Error | undefined
  return {
    put: (bytes) => {
      if (closed !== undefined) return
      const first = waiting.shift()
      if (first === undefined) messages.push(bytes)
      else first.resolve(bytes)
    },
    take: () =>
      new Promise((resolve, reject) => {
        const first = messages.shift()
        if (first !== undefined) resolve(first)
        else if (closed !== undefined) reject(closed)
        else waiting.push({ resolve, reject })
      }),
    close: (error) => {
      closed ??= error
      for (const { reject } of waiting.splice(0)) reject(closed)
    }
  }
}
