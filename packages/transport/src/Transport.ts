/**
 * Framed duplex channels between peers: the carrier below the protocol.
 * @module
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { ChannelClosed, DialError, ListenError } from "./TransportError.ts"

/**
 * A duplex channel of whole messages, ordered, without loss while it is open. Plain functions: this is the token path.
 */
export interface Channel {
  /** Address of the other end, for people. */
  readonly remote: string
  /** Id of the peer at the other end, where the carrier's encryption proves it: the handshake must come to the same. */
  readonly peer?: string
  /** Queues a message (moved: it may leave later, never change it again). False if the channel is closed. */
  readonly send: (message: Uint8Array) => boolean
  /** Bytes queued here and not yet taken by the carrier: whoever sends much watches it. */
  readonly buffered: () => number
  /**
   * Sets the receiver, which must not throw; replaces the former one. Messages that came before wait for the first, up
   * to `MAX_WAITING_MESSAGES` and `MAX_WAITING_BYTES`; beyond that the channel closes with reason `overflow`. A message is
   * the receiver's to keep and change; a view, it may keep alive a greater buffer.
   */
  readonly receive: (receiver: (message: Uint8Array) => void) => void
  /**
   * Settles, never rejects, when the channel is closed by either end, with the reason; what came before the close has
   * been delivered then.
   */
  readonly closed: Promise<ChannelClosed>
  /**
   * Closes: what was sent before still leaves, nothing is delivered here any more. `reason` reaches the other end, cut
   * to what the carrier takes. Harmless when closed.
   */
  readonly close: (reason?: string) => void
}

/** What every carrier offers; its tests are `@swarm/transport/compliance`. */
export interface Service {
  /** Opens a channel; it closes with the scope. *Elsewhere*: nothing was sent. */
  readonly dial: (address: string) => Effect.Effect<Channel, DialError, Scope.Scope>
  /**
   * Listens until the scope closes, which closes the channels too; each channel that comes in is given to `onChannel`, which
   * must not throw. Returns the address to dial (the real port).
   */
  readonly listen: (
    address: string,
    onChannel: (channel: Channel) => void
  ) => Effect.Effect<string, ListenError, Scope.Scope>
}

/** The carrier below the protocol: memory, WebSocket, or one of your own. */
export class Transport extends Context.Tag("@swarm/transport/Transport")<Transport, Service>() {}
