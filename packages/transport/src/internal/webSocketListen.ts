/**
 * Listening for WebSockets.
 * @module
 */
import { createServer, type IncomingMessage, type Server } from "node:http"
import type { Duplex } from "node:stream"
import { MAX_FRAME } from "@swarm/protocol"
import * as Effect from "effect/Effect"
import { WebSocketServer } from "ws"
import { HELLO_SECONDS } from "../Limits.ts"
import type { Channel, Service } from "../Transport.ts"
import { ListenError } from "../TransportError.ts"
import { makeSocketChannel, type SocketChannel } from "./webSocketChannel.ts"

interface Listening {
  readonly address: string
  readonly shutdown: Effect.Effect<void>
}

/** `listen` of the service, for at most `maxChannels` sockets at once, upgraded or not. */
export const makeListen =
  (maxChannels: number): Service["listen"] =>
  (address, onChannel) =>
    Effect.map(
      Effect.acquireRelease(start(address, onChannel, maxChannels), (listening) => listening.shutdown),
      (listening) => listening.address
    )

const start = (
  address: string,
  onChannel: (channel: Channel) => void,
  maxChannels: number
): Effect.Effect<Listening, ListenError> =>
  Effect.async((resume) => {
    const fail = (detail: string): void => resume(Effect.fail(new ListenError({ address, detail })))
    if (!address.startsWith("ws://") || !URL.canParse(address)) return fail('not of the form "ws://host:port"')
    const url = new URL(address)
    const open = new Set<SocketChannel>()
    const server = createServer({ headersTimeout: HELLO_SECONDS * 1000, connectionsCheckingInterval: 1000 })
    // sockets that never ask for the upgrade count too, with some room so that most dials over the limit hear why
    server.maxConnections = maxChannels + 16
    const upgrader = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: MAX_FRAME
    })

    server.on("request", (_, response) => {
      response.writeHead(426, { Connection: "close", Upgrade: "websocket" }).end()
    })
    server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      if (open.size >= maxChannels) {
        socket.on("error", () => {})
        socket.end("HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        return
      }
      upgrader.handleUpgrade(request, socket, head, (webSocket) => {
        const opened = makeSocketChannel(webSocket, socket, remoteOf(request), false)
        open.add(opened)
        webSocket.once("close", () => open.delete(opened))
        onChannel(opened.channel)
      })
    })
    server.once("error", (error) => fail(error.message))
    server.listen({ host: url.hostname.replace(/^\[|\]$/g, ""), port: url.port === "" ? 80 : Number(url.port) }, () => {
      server.removeAllListeners("error")
      server.on("error", () => {}) // of single sockets that could not be accepted
      const bound = server.address()
      const port = typeof bound === "object" && bound !== null ? bound.port : url.port
      resume(Effect.succeed({ address: `ws://${url.hostname}:${port}`, shutdown: shutdown(server, open) }))
    })
  })

/** Stops listening at once, then says goodbye to all channels together. */
const shutdown = (server: Server, open: ReadonlySet<SocketChannel>): Effect.Effect<void> =>
  Effect.suspend(() => {
    server.close()
    server.closeAllConnections()
    return Effect.forEach([...open], (opened) => opened.shutdown("the listener closed"), {
      concurrency: "unbounded",
      discard: true
    })
  })

const remoteOf = (request: IncomingMessage): string => {
  const { remoteAddress = "unknown", remotePort = 0 } = request.socket
  return `ws://${remoteAddress.includes(":") ? `[${remoteAddress}]` : remoteAddress}:${remotePort}`
}
