/**
 * The client's connections, and which session each frame belongs to.
 * @module
 */
import { type Frame, never } from "@swarm/protocol"
import type { Connection, DialError, Network } from "@swarm/transport"
import * as Effect from "effect/Effect"

/** Receives the frames of one session at one hop. */
type Listener = (frame: Frame, connection: Connection) => void

/** One for a client: all its sessions share the connections. */
export interface Links {
  /** Fails if another peer than `peer` answers. */
  readonly connect: (address: string, peer: string) => Effect.Effect<Connection, DialError>
  /** Sends frames of `session` to `listener` until the returned function is called. */
  readonly listen: (session: string, listener: Listener) => () => void
  /** Sessions that are listened to. */
  readonly sessions: () => number
}

export const makeLinks = (network: Network): Links => {
  const listeners = new Map<string, Listener>()
  const receive = (frame: Frame, connection: Connection): void => {
    switch (frame.kind) {
      case "output":
      case "journal":
      case "sessionFault":
      case "draining":
        listeners.get(frame.body.session)?.(frame, connection)
        return
      default:
        if (frame.request !== 0) {
          connection.reply(frame.request, "fault", never("protocol", `a client takes no "${frame.kind}"`))
        }
    }
  }
  return {
    connect: (address, peer) =>
      Effect.tap(network.connect(address, peer), (connection) => Effect.sync(() => connection.receive(receive))),
    listen: (session, listener) => {
      listeners.set(session, listener)
      return () => {
        listeners.delete(session)
      }
    },
    sessions: () => listeners.size
  }
}
