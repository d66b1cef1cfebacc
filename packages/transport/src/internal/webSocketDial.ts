/**
 * Dialling over WebSocket.
 * @module
 */
import { MAX_FRAME } from "@swarm/protocol"
import * as Effect from "effect/Effect"
import WebSocket from "ws"
import type { Service } from "../Transport.ts"
import { DialError } from "../TransportError.ts"
import { makeSocketChannel, type SocketChannel } from "./webSocketChannel.ts"

/** `dial` of the service: the whole of name lookup, connection and upgrade within `seconds`. */
export const makeDial =
  (seconds: number): Service["dial"] =>
  (address) =>
    Effect.gen(function* () {
      let socket: SocketChannel | undefined
      // before the dial, so that an interruption in the moment of success finds the socket
      yield* Effect.addFinalizer(() => socket?.shutdown("the scope closed") ?? Effect.void)
      socket = yield* open(address, seconds, (opened) => {
        socket = opened
      })
      return socket.channel
    })

const open = (
  address: string,
  seconds: number,
  onOpen: (opened: SocketChannel) => void
): Effect.Effect<SocketChannel, DialError> =>
  Effect.async((resume) => {
    const fail = (reason: DialError["reason"], detail: string): void =>
      resume(Effect.fail(new DialError({ address, reason, detail })))
    if (!/^wss?:\/\//.test(address) || !URL.canParse(address))
      return fail("address", 'not of the form "ws://host:port"')
    let socket: WebSocket
    try {
      socket = new WebSocket(address, {
        perMessageDeflate: false,
        maxPayload: MAX_FRAME,
        // A key of zeros means that nothing is masked, which saves two passes and a copy per message. The key guards
        // proxies against bytes that a script in a browser chose (RFC 6455, section 10.3); here no script chooses any.
        generateMask: (mask) => mask.fill(0)
      })
    } catch (error) {
      return fail("address", messageOf(error))
    }
    const timer = setTimeout(() => {
      stop()
      fail("timeout", `no answer within ${seconds} s`)
    }, seconds * 1000)
    const stop = (): void => {
      clearTimeout(timer)
      socket.removeAllListeners()
      socket.on("error", () => {}) // terminating a socket that is still connecting reports it
      socket.terminate()
    }
    socket.once("upgrade", ({ socket: stream }) => {
      socket.once("open", () => {
        clearTimeout(timer)
        socket.removeAllListeners()
        const opened = makeSocketChannel(socket, stream, address, true)
        onOpen(opened)
        resume(Effect.succeed(opened))
      })
    })
    socket.once("error", (error: Error & { readonly code?: string }) => {
      stop()
      if (error.code === "ETIMEDOUT") fail("timeout", messageOf(error))
      else fail(error.code === undefined ? "handshake" : "refused", messageOf(error))
    })
    return Effect.sync(stop)
  })

/** An `AggregateError` of several addresses tried has no message of its own. */
const messageOf = (error: unknown): string => {
  if (error instanceof AggregateError && error.message === "") return error.errors.map(messageOf).join("; ")
  return error instanceof Error ? error.message : String(error)
}
