/**
 * Channels over WebSocket: `ws://host:port`.
 * @module
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { makeDial } from "./internal/webSocketDial.ts"
import { makeListen } from "./internal/webSocketListen.ts"
import { DIAL_SECONDS, MAX_CHANNELS } from "./Limits.ts"
import { type Service, Transport } from "./Transport.ts"

export interface WebSocketOptions {
  /** Channels that one listener holds at once; further dials are refused with status 503. @default 1024 */
  readonly maxChannels?: number
  /** Seconds until a dial must have succeeded. @default 5 */
  readonly dialSeconds?: number
}

/**
 * Channels over WebSocket, uncompressed, one binary message each, at most `MAX_FRAME` bytes. `wss://` can be dialled; to
 * be reached by it, put a proxy that ends TLS in front. Port 0 listens on a free one.
 *
 * A channel that dies without a closing frame (a killed peer) closes with reason `lost`.
 *
 * @example A listener and who dials it
 * ```ts
 * import { layerWebSocket, Transport } from "@swarm/transport"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function* () {
 *   const transport = yield* Transport
 *   const address = yield* transport.listen("ws://127.0.0.1:0", (channel) => channel.send(Uint8Array.of(42)))
 *   const channel = yield* transport.dial(address)
 *   const first = yield* Effect.promise(() => new Promise<Uint8Array>((resolve) => channel.receive(resolve)))
 *   console.log(first[0]) // => 42
 * })
 * await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(layerWebSocket())))
 * ```
 */
export const layerWebSocket = (options: WebSocketOptions = {}): Layer.Layer<Transport> =>
  Layer.effect(
    Transport,
    Effect.sync(() => makeWebSocket(options))
  )

/** The service of {@link layerWebSocket}. */
export const makeWebSocket = (options: WebSocketOptions = {}): Service => ({
  dial: makeDial(options.dialSeconds ?? DIAL_SECONDS),
  listen: makeListen(options.maxChannels ?? MAX_CHANNELS)
})
