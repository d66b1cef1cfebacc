/**
 * A libp2p stream as a channel.
 * @module
 */
import type { Stream, StreamCloseEvent } from "@libp2p/interface"
import { type Channel, type ChannelClosed, MAX_WAITING_BYTES, MAX_WAITING_MESSAGES } from "@swarm/transport"
import { Closing, Inbox } from "@swarm/transport/carrier"
import { Framer, goodbye, headOf, withHead } from "./Framer.ts"

export interface StreamChannel {
  readonly channel: Channel
  /** Closes and waits until the stream is gone. */
  readonly shutdown: (reason: string) => Promise<void>
}

/** Bytes up to which a copy is cheaper than a second frame of the stream. */
const WORTH_A_COPY = 64 * 1024

/** Milliseconds that a closing stream gets to send what waits. */
const GRACE_MILLISECONDS = 1000

/** Wraps an open stream; call it in the turn in which the stream opened. `peer`: who is at the other end, proven by the encryption. */
export const makeStreamChannel = (stream: Stream, remote: string, peer: string): StreamChannel => {
  const closing = new Closing(remote)
  const inbox = new Inbox<Uint8Array>(MAX_WAITING_MESSAGES, MAX_WAITING_BYTES)
  let ended: Promise<void> | undefined

  const end = (reason: ChannelClosed["reason"], detail: string): void => {
    if (closing.settle(reason, detail) === undefined) return
    ended = (async () => {
      try {
        if (reason !== "remote") stream.send(goodbye(detail))
        await stream.close({ signal: AbortSignal.timeout(GRACE_MILLISECONDS) })
        if (reason !== "remote") await gone(stream)
      } catch (cause) {
        stream.abort(cause instanceof Error ? cause : new Error(String(cause)))
      }
    })()
  }

  const framer = new Framer({
    message: (bytes) => {
      if (closing.closed !== undefined) return
      if (!inbox.deliver(bytes, bytes.length)) end("overflow", "messages wait for a receiver that is not set")
    },
    goodbye: (reason) => end("remote", reason),
    violation: (detail) => end("protocol", detail)
  })
  stream.addEventListener("message", ({ data }) => {
    if (data instanceof Uint8Array) framer.push(data)
    else for (const piece of data) framer.push(piece)
  })
  stream.addEventListener("remoteCloseWrite", () => end("remote", "the stream ended"))
  stream.addEventListener("close", ({ error }: StreamCloseEvent) => {
    closing.settle("lost", error?.message ?? "the connection broke")
  })

  return {
    channel: {
      remote,
      peer,
      send: (message) => {
        if (closing.closed !== undefined || stream.writeStatus !== "writable") return false
        if (message.length > WORTH_A_COPY) {
          stream.send(headOf(message))
          stream.send(message)
        } else stream.send(withHead(message))
        return true
      },
      buffered: () => stream.writeBufferLength,
      receive: (receiver) =>
        inbox.receive((message) => {
          if (closing.closed?.reason !== "local") receiver(message)
        }),
      closed: closing.promise,
      close: (reason = "closed here") => end("local", reason)
    },
    shutdown: (reason) => {
      end("local", reason)
      return ended ?? Promise.resolve()
    }
  }
}

/** Waits, a little, for the other end to close too. */
const gone = (stream: Stream): Promise<void> =>
  new Promise((resolve, reject) => {
    if (stream.status === "closed" || stream.status === "aborted" || stream.status === "reset") return resolve()
    const timer = setTimeout(() => reject(new Error("the other end does not close")), GRACE_MILLISECONDS)
    stream.addEventListener("close", () => {
      clearTimeout(timer)
      resolve()
    })
  })
