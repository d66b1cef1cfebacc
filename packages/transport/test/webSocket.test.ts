import { createHook } from "node:async_hooks"
import { connect as connectTcp, type Socket } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { MAX_FRAME } from "@swarm/protocol"
import { type Channel, layerWebSocket, makeNetwork, makeWebSocket } from "@swarm/transport"
import { Effect, Fiber } from "effect"
import WebSocket from "ws"

const LOCAL = "ws://127.0.0.1:0"

const eventually = (condition: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() => (condition() ? Effect.void : Effect.delay(eventually(condition), "5 millis")))

const tcp = (address: string): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const url = new URL(address)
    const socket = connectTcp(Number(url.port), url.hostname, () => resolve(socket)).on("error", reject)
  })

/** Open sockets and listeners of this process. */
const sockets = (): number => process.getActiveResourcesInfo().filter((name) => name.startsWith("TCP")).length

/** Counts the timers that were started after it and neither ran out nor were cleared, those included that let the process end. */
const timers = (): (() => number) => {
  const live = new Set<number>()
  const hook = createHook({
    init: (id, type) => void (type === "Timeout" && live.add(id)),
    destroy: (id) => void live.delete(id)
  }).enable()
  return () => {
    hook.disable()
    return live.size
  }
}

describe("layerWebSocket", () => {
  it.scopedLive("refuses channels beyond the limit with a reason, and takes new ones when some have gone", () =>
    Effect.gen(function* () {
      const transport = makeWebSocket({ maxChannels: 2 })
      let open = 0
      const at = yield* transport.listen(LOCAL, (channel) => {
        open++
        channel.closed.then(() => open--)
      })
      const first = yield* transport.dial(at)
      yield* transport.dial(at)
      const error = yield* Effect.flip(transport.dial(at))
      assert.strictEqual(error.reason, "handshake")
      assert.include(error.detail, "503")
      first.close()
      yield* eventually(() => open === 1)
      yield* Effect.sleep("10 millis")
      assert.strictEqual((yield* transport.dial(at)).remote, at)
    })
  )

  it.scopedLive("says `lost` when the other end dies without a goodbye", () =>
    Effect.gen(function* () {
      const transport = makeWebSocket()
      const channels: Array<Channel> = []
      const at = yield* transport.listen(LOCAL, (channel) => channels.push(channel))
      const socket = new WebSocket(at)
      yield* eventually(() => channels.length === 1 && socket.readyState === socket.OPEN)
      socket.terminate()
      const closed = yield* Effect.promise(() => (channels[0] as Channel).closed)
      assert.strictEqual(closed.reason, "lost")
    })
  )

  it.scopedLive("closes who sends text or more than a frame may have", () =>
    Effect.gen(function* () {
      const transport = makeWebSocket()
      const channels: Array<Channel> = []
      const at = yield* transport.listen(LOCAL, (channel) => channels.push(channel))
      for (const message of ["text", Buffer.alloc(MAX_FRAME + 1)]) {
        const socket = new WebSocket(at, { perMessageDeflate: false })
        socket.on("error", () => {})
        const opened = channels.length
        yield* eventually(() => channels.length === opened + 1 && socket.readyState === socket.OPEN)
        socket.send(message)
        const closed = yield* Effect.promise(() => (channels[opened] as Channel).closed)
        assert.strictEqual(closed.reason, "protocol")
      }
    })
  )

  it.scopedLive("takes masked messages from other software", () =>
    Effect.gen(function* () {
      const transport = makeWebSocket()
      const at = yield* transport.listen(LOCAL, (channel) => channel.receive((message) => channel.send(message)))
      const socket = new WebSocket(at)
      const answer = new Promise<Buffer>((resolve) => socket.on("message", resolve))
      socket.on("open", () => socket.send(Buffer.from("abc".repeat(1000))))
      assert.strictEqual((yield* Effect.promise(() => answer)).toString(), "abc".repeat(1000))
      socket.close()
    })
  )

  it.scopedLive("gives up a dial that is not answered, or that is interrupted, and leaves no socket", () =>
    Effect.gen(function* () {
      const { createServer } = yield* Effect.promise(() => import("node:net"))
      let dialled = 0
      const silent = createServer((socket) => {
        dialled++
        socket
          .on("close", () => dialled--)
          .on("error", () => {})
          .resume()
      })
      yield* Effect.promise(() => new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve)))
      const bound = silent.address()
      const at = `ws://127.0.0.1:${typeof bound === "object" && bound !== null ? bound.port : 0}`
      const error = yield* Effect.flip(makeWebSocket({ dialSeconds: 0.1 }).dial(at))
      assert.deepStrictEqual([error._tag, error.reason], ["DialError", "timeout"])
      const fiber = yield* Effect.fork(Effect.scoped(makeWebSocket().dial(at)))
      yield* eventually(() => dialled === 1)
      yield* Fiber.interrupt(fiber)
      yield* eventually(() => dialled === 0)
      silent.close()
    })
  )

  it.scopedLive("ends quickly though peers do not answer its goodbye", () =>
    Effect.gen(function* () {
      const transport = makeWebSocket()
      let accepted = 0
      const open: Array<Socket> = []
      yield* Effect.scoped(
        Effect.gen(function* () {
          const at = yield* transport.listen(LOCAL, () => accepted++)
          for (let i = 0; i < 20; i++) {
            const socket = yield* Effect.promise(() => tcp(at))
            open.push(socket.on("error", () => {}))
            socket.write(
              "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
                "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
          }
          open.push(yield* Effect.promise(() => tcp(at))) // it never asks for the upgrade
          yield* eventually(() => accepted === 20)
        })
      )
      yield* eventually(() => open.every((socket) => socket.resume().destroyed))
    })
  )

  it.live("two hundred connections and their requests leave no socket, timer or listener", () =>
    Effect.gen(function* () {
      const before = sockets()
      const running = timers()
      const run = Effect.gen(function* () {
        const server = yield* makeNetwork({ software: "test" })
        const at = yield* server.serve(LOCAL, () => {})
        const idle = makeWebSocket()
        const clients = yield* Effect.forEach(
          Array.from({ length: 200 }),
          (_, i) =>
            Effect.gen(function* () {
              if (i % 10 === 0) yield* idle.dial(at) // it never says hello
              const client = yield* makeNetwork({ software: "test" })
              return yield* client.connect(at)
            }),
          { concurrency: 20 }
        )
        for (const client of clients) client.request("status", {}).catch(() => {})
        yield* Effect.promise(() => Promise.all(clients.map((client) => client.ping())))
        assert.strictEqual(server.connections().length, 200)
      })
      yield* Effect.scoped(run).pipe(Effect.provide(layerWebSocket()))
      yield* eventually(() => sockets() === before)
      yield* Effect.scoped(run).pipe(Effect.provide(layerWebSocket()))
      yield* eventually(() => sockets() === before)
      yield* Effect.sleep("1 millis") // `destroy` is told a turn later
      assert.isAtMost(running(), 1) // the one of this very sleep
    })
  )
})
