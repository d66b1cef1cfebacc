/**
 * A WebSocket as a channel.
 * @module
 */
import type { Duplex } from "node:stream"
import * as Effect from "effect/Effect"
import type WebSocket from "ws"
import { GRACE_SECONDS, MAX_WAITING_BYTES, MAX_WAITING_MESSAGES } from "../Limits.ts"
import type { Channel } from "../Transport.ts"
import type { ChannelClosed } from "../TransportError.ts"
import { Closing } from "./Closing.ts"
import { Inbox } from "./Inbox.ts"
import { divertMessages, frameMessage } from "./webSocketFrames.ts"

/** WebSocket close codes (RFC 6455, section 7.4.1). */
const NORMAL = 1000
const UNSUPPORTED = 1003
const ABNORMAL = 1006
const POLICY = 1008
/** UTF-8 bytes that the reason of a closing frame may have. */
const MAX_REASON_BYTES = 123

export interface SocketChannel {
  readonly channel: Channel
  /** Closes and waits until the socket is gone: {@link GRACE_SECONDS} at most. */
  readonly shutdown: (reason: string) => Effect.Effect<void>
}

/**
 * Wraps an open socket; call it in the turn in which the socket opened, or its first messages are lost.
 *
 * @param stream what carries the socket's bytes
 * @param dialled whether this end dialled: then it masks, and the other does not
 */
export const makeSocketChannel = (
  socket: WebSocket,
  stream: Duplex,
  remote: string,
  dialled: boolean
): SocketChannel => {
  const closing = new Closing(remote)
  const inbox = new Inbox<Uint8Array>(MAX_WAITING_MESSAGES, MAX_WAITING_BYTES)
  let cut: NodeJS.Timeout | undefined
  /** Frames of this turn. */
  let leaving: Array<Uint8Array> = []
  let leavingBytes = 0

  const flush = (): void => {
    if (leaving.length === 0) return
    const frames = leaving
    leaving = []
    leavingBytes = 0
    if (stream.destroyed) return
    if (frames.length > 1) stream.cork()
    for (const frame of frames) stream.write(frame)
    if (frames.length > 1) stream.uncork()
  }

  /** What is sent in one turn leaves in one write: sessions that shared a run arrive together, and share the next. */
  const write = (message: Uint8Array): void => {
    if (leaving.length === 0) process.nextTick(flush)
    for (const piece of frameMessage(message, dialled)) {
      leaving.push(piece)
      leavingBytes += piece.length
    }
  }

  const end = (reason: ChannelClosed["reason"], detail: string, code: number): void => {
    if (closing.settle(reason, detail) === undefined) return
    flush()
    socket.close(code, cutReason(detail))
    // a peer that does not answer would hold the socket; while it is open it keeps the loop alive, so the timer need not
    cut = setTimeout(() => socket.terminate(), GRACE_SECONDS * 1000).unref()
  }

  const take = (message: Uint8Array): void => {
    if (closing.closed !== undefined) return
    if (!inbox.deliver(message, message.length)) end("overflow", "messages wait for a receiver that is not set", POLICY)
  }
  const stop = divertMessages(stream, !dialled, take)
  socket.on("message", (data: Uint8Array, isBinary: boolean) => {
    if (isBinary) take(data)
    else end("protocol", "a text message came", UNSUPPORTED)
  })
  socket.on("error", (error: Error & { readonly code?: string }) => {
    stop()
    // ws closes the socket itself; its own codes are the peer's violations, others are the network's
    closing.settle(error.code?.startsWith("WS_ERR") === true ? "protocol" : "lost", error.message)
  })
  socket.on("close", (code: number, reason: Buffer) => {
    clearTimeout(cut)
    if (code === ABNORMAL) closing.settle("lost", "the connection broke")
    else closing.settle("remote", reason.length > 0 ? reason.toString() : `code ${code}`)
  })

  const close = (reason: string): void => end("local", reason, NORMAL)
  return {
    channel: {
      remote,
      send: (message) => {
        if (closing.closed !== undefined || socket.readyState !== socket.OPEN) return false
        write(message)
        return true
      },
      buffered: () => leavingBytes + socket.bufferedAmount,
      receive: (receiver) =>
        inbox.receive((message) => {
          if (closing.closed?.reason !== "local") receiver(message)
        }),
      closed: closing.promise,
      close: (reason = "closed here") => close(reason)
    },
    shutdown: (reason) =>
      Effect.async<void>((resume) => {
        if (socket.readyState === socket.CLOSED) return resume(Effect.void)
        socket.once("close", () => resume(Effect.void))
        close(reason)
      })
  }
}

const cutReason = (reason: string): string => {
  let cut = reason.slice(0, MAX_REASON_BYTES)
  while (Buffer.byteLength(cut) > MAX_REASON_BYTES) cut = cut.slice(0, -1)
  return cut
}
