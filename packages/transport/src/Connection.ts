/**
 * A channel on which the protocol is spoken: requests and replies, notifications, pings.
 * @module
 */
import type { Fault, Frame, FrameOf, Hello, Kind, Messages, Payload, Replies, RequestKind } from "@swarm/protocol"
import type { ChannelClosed } from "./TransportError.ts"

/**
 * How a request failed: the channel closed, no answer in time, or the peer's fault. A plain value: it is made often
 * where peers are unreliable, and a stack would say nothing.
 */
export type RequestFailure =
  | { readonly _tag: "Closed"; readonly closed: ChannelClosed }
  | { readonly _tag: "Timeout" }
  | { readonly _tag: "Fault"; readonly fault: Fault }

/** The frame that answers a request of kind `K`. */
export type ReplyTo<K extends RequestKind> = FrameOf<Replies[K]>

/** What a peer said of itself; `peer` and `credential` are proven. */
export type Introduction = Omit<Hello, "nonce">

export interface RequestOptions {
  /** Seconds to wait, to the granularity of 50 ms; `Infinity`: until the channel closes. @default 10 */
  readonly timeoutSeconds?: number
  readonly payload?: Payload
}

/** One peer at the other end of a channel. Plain functions and promises: this is the token path. */
export interface Connection {
  /** Id of the peer, which proved that it holds the key. */
  readonly peer: string
  /** Address of the other end, for people. */
  readonly remote: string
  /** What the peer said of itself. `address`: where it can be dialled; of a peer that we dialled, the address used. */
  readonly hello: Introduction
  /**
   * Sends a request and waits for its reply. Rejects with {@link RequestFailure}, or with `TypeError` or `RangeError` if
   * the body cannot be encoded.
   */
  readonly request: <K extends RequestKind>(kind: K, body: Messages[K], options?: RequestOptions) => Promise<ReplyTo<K>>
  /** Sends a notification. False if the connection is closed. `payload`: borrowed during the call. */
  readonly notify: <K extends Kind>(kind: K, body: Messages[K], payload?: Payload) => boolean
  /** Answers a request. False if the connection is closed. */
  readonly reply: <K extends Kind>(request: number, kind: K, body: Messages[K], payload?: Payload) => boolean
  /**
   * Sends a frame that `encodeFrame` made (moved: do not change it): for a codec whose verdict must be known before
   * the frame leaves. False if the connection is closed.
   */
  readonly send: (frame: Uint8Array) => boolean
  /**
   * Sets the receiver of every frame that is not a reply (pings are answered here). Replaces the former one. Frames that
   * came before wait for the first receiver, up to `MAX_WAITING_FRAMES`. A receiver that throws closes the connection.
   */
  readonly receive: (receiver: (frame: Frame, connection: Connection) => void) => void
  /** Bytes that wait to be sent. A peer that lets `MAX_BUFFERED` pile up is disconnected. */
  readonly buffered: () => number
  /** Round trip in seconds, exponentially smoothed over the pings; undefined before the first. */
  readonly roundTrip: () => number | undefined
  /** Measures a round trip, in seconds. Rejects with {@link RequestFailure}. @default 5 seconds to wait */
  readonly ping: (timeoutSeconds?: number) => Promise<number>
  /** Settles when the connection is closed, by either end, with the reason. */
  readonly closed: Promise<ChannelClosed>
  readonly isClosed: () => boolean
  /** Closes at once: what waits in `request` fails now; what was sent before still leaves. Harmless when closed. */
  readonly close: (reason?: string) => void
}

/** Whether a rejection of {@link Connection.request} is the peer's or the network's, not a bug. */
export const isRequestFailure = (value: unknown): value is RequestFailure =>
  typeof value === "object" &&
  value !== null &&
  "_tag" in value &&
  (value._tag === "Closed" || value._tag === "Timeout" || value._tag === "Fault")
