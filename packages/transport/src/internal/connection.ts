/**
 * The protocol on an open channel, after hello and welcome.
 * @module
 */
import {
  decodeFrame,
  encodeFrame,
  type Fault,
  type Frame,
  isReply,
  type Kind,
  type Messages,
  never,
  type Payload,
  ProtocolError,
  REPLIES,
  type ReplyKind,
  type RequestKind
} from "@swarm/protocol"
import type { Connection, Introduction, ReplyTo, RequestFailure, RequestOptions } from "../Connection.ts"
import { MAX_BUFFERED, MAX_WAITING_BYTES, MAX_WAITING_FRAMES } from "../Limits.ts"
import type { Channel } from "../Transport.ts"
import type { ChannelClosed } from "../TransportError.ts"
import { Closing } from "./Closing.ts"
import { type Deadline, type Deadlines, inSeconds } from "./Deadlines.ts"
import { Inbox } from "./Inbox.ts"

const REQUEST_SECONDS = 10
const PING_SECONDS = 5
/** Weight of the newest round trip: about the last ten count. */
const SMOOTHING = 0.2

interface Pending extends Deadline {
  readonly expects: ReplyKind
  readonly resolve: (frame: Frame) => void
  readonly reject: (failure: RequestFailure) => void
}

export interface ConnectionEvents {
  /** Called before any frame is handled; sets the receiver. If it throws, the connection closes. */
  readonly onOpen: (connection: Connection) => void
  /** The peer passes on which invites were taken back. */
  readonly onRevoked: (list: Uint8Array, connection: Connection) => void
  /** Called once, in the turn in which the connection ends. */
  readonly onClosed: (connection: Connection) => void
}

/** Takes over `channel`, whose peer said `hello`. */
export const makeConnection = (
  channel: Channel,
  hello: Introduction,
  deadlines: Deadlines,
  events: ConnectionEvents
): Connection => {
  const closing = new Closing(channel.remote)
  const inbox = new Inbox<Frame>(MAX_WAITING_FRAMES, MAX_WAITING_BYTES)
  const pending = new Map<number, Pending>()
  let lastRequest = 0
  let roundTrip: number | undefined
  /** What the peer said before it closed the channel. */
  let lastFault: Fault | undefined

  const finish = (reason: ChannelClosed["reason"], detail: string): void => {
    const closed = closing.settle(reason, detail)
    if (closed === undefined) return
    inbox.clear()
    for (const entry of pending.values()) {
      deadlines.delete(entry)
      entry.reject({ _tag: "Closed", closed })
    }
    pending.clear()
    events.onClosed(connection)
  }

  const close = (reason: ChannelClosed["reason"], detail: string, fault?: Fault): void => {
    if (closing.closed !== undefined) return
    if (fault !== undefined) channel.send(encodeFrame("fault", 0, fault))
    channel.close(detail)
    finish(reason, detail)
  }
  const violation = (detail: string): void => close("protocol", detail, never("protocol", detail))

  const send = (frame: Uint8Array): boolean => {
    if (closing.closed !== undefined || !channel.send(frame)) return false
    if (channel.buffered() > MAX_BUFFERED) {
      close("overflow", `the peer does not read: ${channel.buffered()} bytes wait`)
      return false
    }
    return true
  }

  const onReply = (frame: Frame): void => {
    const entry = pending.get(frame.request)
    if (entry === undefined) return // it came after its deadline
    if (frame.kind === "fault") {
      settle(frame.request, entry)
      entry.reject({ _tag: "Fault", fault: frame.body })
    } else if (frame.kind === entry.expects) {
      settle(frame.request, entry)
      entry.resolve(frame)
    } else violation(`"${frame.kind}" answers a request that expects "${entry.expects}"`)
  }

  const settle = (request: number, entry: Pending): void => {
    pending.delete(request)
    deadlines.delete(entry)
  }

  const dispatch = (frame: Frame, bytes: number): void => {
    if (isReply(frame.kind) && (frame.request !== 0 || frame.kind !== "fault")) onReply(frame)
    else if (frame.kind === "ping") connection.reply(frame.request, "pong", frame.body)
    else if (frame.kind === "hello") violation("a second hello")
    else if (frame.kind === "revoked") events.onRevoked(frame.body.list, connection)
    else {
      if (frame.kind === "fault") lastFault = frame.body
      if (!inbox.deliver(frame, bytes)) close("overflow", "frames wait for a receiver that is not set")
    }
  }

  const onMessage = (bytes: Uint8Array): void => {
    if (closing.closed !== undefined) return
    const frame = read(bytes, violation)
    if (frame !== undefined) dispatch(frame, bytes.length)
  }

  const connection: Connection = {
    peer: hello.peer,
    remote: channel.remote,
    hello,
    request: <K extends RequestKind>(kind: K, body: Messages[K], options?: RequestOptions): Promise<ReplyTo<K>> =>
      new Promise<Frame>((resolve, reject) => {
        const closed = closing.closed
        if (closed !== undefined) return reject({ _tag: "Closed", closed } satisfies RequestFailure)
        const number = freeNumber()
        const frame = encodeFrame(kind, number, body, options?.payload)
        const entry: Pending = {
          expects: REPLIES[kind],
          at: inSeconds(options?.timeoutSeconds ?? REQUEST_SECONDS),
          resolve,
          reject,
          expire: () => {
            pending.delete(number)
            reject({ _tag: "Timeout" } satisfies RequestFailure)
          }
        }
        pending.set(number, entry)
        deadlines.add(entry)
        send(frame)
      }) as Promise<Frame> as Promise<ReplyTo<K>>,
    notify: <K extends Kind>(kind: K, body: Messages[K], payload?: Payload) =>
      closing.closed === undefined && send(encodeFrame(kind, 0, body, payload)),
    reply: <K extends Kind>(request: number, kind: K, body: Messages[K], payload?: Payload) =>
      closing.closed === undefined && send(encodeFrame(kind, request, body, payload)),
    send,
    receive: (receiver) =>
      inbox.receive((frame) => {
        if (closing.closed !== undefined) return
        try {
          receiver(frame, connection)
        } catch (error) {
          failed(frame.kind, error)
        }
      }),
    buffered: channel.buffered,
    roundTrip: () => roundTrip,
    ping: async (timeoutSeconds = PING_SECONDS) => {
      const start = performance.now()
      await connection.request("ping", { nonce: lastRequest }, { timeoutSeconds })
      const seconds = (performance.now() - start) / 1000
      roundTrip = roundTrip === undefined ? seconds : roundTrip + SMOOTHING * (seconds - roundTrip)
      return seconds
    },
    closed: closing.promise,
    isClosed: () => closing.closed !== undefined,
    close: (reason = "closed here") => close("local", reason)
  }

  /** A failure of the caller's code ends this connection, not the process. */
  const failed = (kind: Kind, error: unknown): void => {
    const why = error instanceof Error ? error.message : String(error)
    // the peer is not told why: the message may quote what is ours
    const fault = never("protocol", `"${kind}" cannot be handled`)
    close("protocol", `the receiver failed at "${kind}": ${why}`, fault)
  }

  const freeNumber = (): number => {
    do lastRequest = lastRequest >= 0xffff_ffff ? 1 : lastRequest + 1
    while (pending.has(lastRequest))
    return lastRequest
  }

  channel.closed.then((closed) => {
    finish(closed.reason, lastFault === undefined ? closed.detail : `${lastFault.code}: ${lastFault.detail}`)
  })
  try {
    events.onOpen(connection)
  } catch (error) {
    failed("hello", error)
  }
  channel.receive(onMessage)
  return connection
}

/** The frame, or undefined after `violation` was told why there is none. */
const read = (bytes: Uint8Array, violation: (detail: string) => void): Frame | undefined => {
  try {
    return decodeFrame(bytes)
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
    violation(error.message)
    return undefined
  }
}
