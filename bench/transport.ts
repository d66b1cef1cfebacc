/**
 * Round trips between two processes on loopback: raw TCP, raw WebSocket, and a connection of ours over WebSocket.
 *
 *     node --import tsx --conditions=swarm-src bench/transport.ts
 *
 * `idle`: the next message leaves as soon as the answer is there. `work`: 3 ms of computing at the dialling end before each
 * message, as between tokens; the other process sleeps meanwhile, and waking it is part of the figure. Medians; the ways take
 * turns in several rounds, so that a busy machine slows all of them.
 * @module
 */
import { fork } from "node:child_process"
import { connect, createServer, type Socket } from "node:net"
import { fileURLToPath } from "node:url"
import { decodeFrame, encodeFrame } from "@swarm/protocol"
import { type Connection, layerWebSocket, makeNetwork, type Transport } from "@swarm/transport"
import { Effect, type Scope } from "effect"
import { WebSocket, WebSocketServer } from "ws"

const SIZES = [2048, 65_536]
const ROUNDS = 5
const WORK_MILLIS = 3
const HOST = "127.0.0.1"

const step = { session: "b8a9a3a8", epoch: 0, position: 7, tokens: 1, codec: "f16", want: "last" } as const
const rows = { session: "b8a9a3a8", epoch: 0, position: 7, tokens: 1, codec: "f16" } as const

/** Calls back for each message behind a u32 with its length. */
const onMessages = (socket: Socket, onMessage: (message: Buffer) => void): void => {
  let held: Buffer = Buffer.alloc(0)
  socket.setNoDelay().on("data", (chunk: Buffer) => {
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk])
    while (held.length >= 4 && held.length >= 4 + held.readUInt32LE(0)) {
      const end = 4 + held.readUInt32LE(0)
      onMessage(held.subarray(4, end))
      held = held.subarray(end)
    }
  })
}
const writeMessage = (socket: Socket, message: Uint8Array): void => {
  const length = Buffer.allocUnsafe(4)
  length.writeUInt32LE(message.length)
  socket.cork()
  socket.write(length)
  socket.write(message)
  socket.uncork()
}

/** The other process: three servers that send back what comes. */
const serve = Effect.gen(function* () {
  const tcp = createServer((socket) => onMessages(socket, (message) => writeMessage(socket, message)))
  yield* Effect.promise(() => new Promise<void>((resolve) => tcp.listen(0, HOST, resolve)))
  const ws = new WebSocketServer({ host: HOST, port: 0, perMessageDeflate: false })
  ws.on("connection", (socket) => socket.on("message", (message: Buffer) => socket.send(message)))
  yield* Effect.promise(() => new Promise<unknown>((resolve) => ws.once("listening", resolve)))
  const network = yield* makeNetwork({ software: "bench" })
  const address = yield* network.serve(`ws://${HOST}:0`, (connection) =>
    connection.receive((frame) => connection.notify("output", rows, frame.payload))
  )
  const portOf = (bound: unknown): number => (bound as { readonly port: number }).port
  process.send?.({ tcp: portOf(tcp.address()), ws: portOf(ws.address()), address })
  yield* Effect.promise(() => new Promise((resolve) => process.once("disconnect", resolve)))
  tcp.close()
  ws.close()
})

/** One way to send a payload there and get it back. */
interface Way {
  readonly name: string
  readonly roundTrip: (payload: Uint8Array) => Promise<void>
}

interface Addresses {
  readonly tcp: number
  readonly ws: number
  readonly address: string
}

const rawTcp = async (port: number): Promise<Way> => {
  const socket = connect(port, HOST)
  await new Promise((resolve) => socket.once("connect", resolve))
  let answered: () => void = () => {}
  onMessages(socket, () => answered())
  return {
    name: "raw TCP",
    roundTrip: (payload) =>
      new Promise((resolve) => {
        answered = resolve
        writeMessage(socket, payload)
      })
  }
}

const rawWebSocket = async (port: number): Promise<Way> => {
  const socket = new WebSocket(`ws://${HOST}:${port}`, { perMessageDeflate: false })
  await new Promise((resolve) => socket.once("open", resolve))
  let answered: () => void = () => {}
  socket.on("message", () => answered())
  return {
    name: "raw ws",
    roundTrip: (payload) =>
      new Promise((resolve) => {
        answered = resolve
        socket.send(payload)
      })
  }
}

const ours = (connection: Connection): Way => {
  let answered: () => void = () => {}
  connection.receive(() => answered())
  return {
    name: "connection",
    roundTrip: (payload) =>
      new Promise((resolve) => {
        answered = resolve
        connection.notify("step", step, payload)
      })
  }
}

const median = (values: Array<number>): number => values.sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN

/** Milliseconds of one round trip in the median. */
const measure = async (way: Way, payload: Uint8Array, count: number, work: number): Promise<number> => {
  const times: Array<number> = []
  for (let i = 0; i < count; i++) {
    for (const until = performance.now() + work; performance.now() < until; );
    const start = performance.now()
    await way.roundTrip(payload)
    times.push(performance.now() - start)
  }
  return median(times)
}

/** Microseconds to encode and decode a frame, both together. */
const codec = (payload: Uint8Array): number => {
  const times: Array<number> = []
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now()
    for (let i = 0; i < 2000; i++) decodeFrame(encodeFrame("step", 0, step, payload))
    times.push(((performance.now() - start) * 1000) / 2000)
  }
  return median(times)
}

const compare = Effect.gen(function* () {
  for (const size of SIZES) console.log(`encode and decode ${size} B: ${codec(new Uint8Array(size)).toFixed(1)} µs`)
  const child = fork(fileURLToPath(import.meta.url), ["echo"])
  yield* Effect.addFinalizer(() => Effect.sync(() => child.disconnect()))
  const at = yield* Effect.promise(() => new Promise<Addresses>((resolve) => child.once("message", resolve as never)))
  const client = yield* makeNetwork({ software: "bench" })
  const connection = yield* client.connect(at.address)
  const ways = yield* Effect.promise(async () => [await rawTcp(at.tcp), await rawWebSocket(at.ws), ours(connection)])

  for (const [mode, work, count] of [
    ["idle", 0, 500],
    ["work", WORK_MILLIS, 60]
  ] as const) {
    for (const size of SIZES) {
      const payload = new Uint8Array(size).map((_, i) => i)
      const times = ways.map((): Array<number> => [])
      for (let round = 0; round < ROUNDS; round++) {
        for (const [i, way] of ways.entries()) {
          times[i]?.push(yield* Effect.promise(() => measure(way, payload, count, work)))
        }
      }
      const medians = times.map(median)
      const line = ways.map((way, i) => `${way.name} ${((medians[i] ?? 0) * 1000).toFixed(0)} µs`)
      const ratio = (i: number): string => ((medians[2] ?? 0) / (medians[i] ?? 1)).toFixed(2)
      console.log(`${mode} ${size} B: ${line.join(", ")}; connection/TCP ${ratio(0)}, connection/ws ${ratio(1)}`)
    }
  }
})

const program: Effect.Effect<void, unknown, Transport | Scope.Scope> = process.argv[2] === "echo" ? serve : compare
await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(layerWebSocket())))
if (process.argv[2] !== "echo") process.exit(0) // the raw sockets are still open
