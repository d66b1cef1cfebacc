/**
 * Peers that send nonsense, or lie: each gets a typed answer or is disconnected, and the server goes on serving others.
 */
import { assert, it } from "@effect/vitest"
import type { Service as Client } from "@swarm/client"
import { makeIdentity } from "@swarm/identity"
import { encodeFrame, encodeRecord, type Frame, type Kind, type Messages } from "@swarm/protocol"
import { encodeRows } from "@swarm/quant"
import { makeTestSwarm, oracleSpan, type TestSwarm } from "@swarm/testing"
import { type Connection, isRequestFailure, layerWebSocket, makeNetwork } from "@swarm/transport"
import { Effect } from "effect"
import { describe } from "vitest"
import WebSocket from "ws"
import { CUTS, HIDDEN, prompt, run, startAll, undisturbed } from "./support/oracles.ts"

const setUp = Effect.gen(function* () {
  const swarm = yield* makeTestSwarm({ blocks: 12, transport: layerWebSocket(), listen: "ws://127.0.0.1:0" })
  const servers = yield* startAll(swarm, 1)
  const client = yield* swarm.client
  const victim = servers[0]?.[0]
  if (victim === undefined) throw new Error("no server")
  return { swarm, servers, client, victim }
})

/** Shows that the swarm still serves. */
const alive = (client: Client, swarm: TestSwarm) =>
  Effect.scoped(
    Effect.gen(function* () {
      const ids = prompt(1, 40)
      const expected = yield* Effect.promise(() => undisturbed(ids, 5))
      const chain = yield* client.open({ model: swarm.model, maxTokens: 128 })
      assert.deepStrictEqual(yield* Effect.promise(() => run(chain, ids, 5)), expected)
    })
  )

/** A raw socket, so that anything can be sent. */
const socket = (address: string) =>
  Effect.acquireRelease(
    Effect.promise(
      () =>
        new Promise<WebSocket>((resolve, reject) => {
          const made = new WebSocket(address)
          made.once("open", () => resolve(made))
          made.once("error", reject)
        })
    ),
    (made) => Effect.sync(() => made.terminate())
  )

const closes = (made: WebSocket) =>
  Effect.promise(
    () =>
      new Promise<void>((resolve) =>
        made.readyState === WebSocket.CLOSED ? resolve() : made.once("close", () => resolve())
      )
  )

const hello = () =>
  encodeFrame("hello", 1, { versions: [2], peer: makeIdentity().peer, software: "test", nonce: new Uint8Array(16) })

/** A well-spoken stranger. */
const stranger = (address: string) =>
  Effect.gen(function* () {
    const network = yield* makeNetwork({ software: "test" })
    const connection = yield* network.connect(address)
    const frames: Array<Frame> = []
    connection.receive((frame) => frames.push(frame))
    return { connection, frames }
  }).pipe(Effect.provide(layerWebSocket()))

const faultOf = (connection: Connection, kind: "open" | "hold" | "relink", body: Messages[typeof kind]) =>
  Effect.promise(async () => {
    try {
      await connection.request(kind, body as never)
      return undefined
    } catch (failure) {
      return isRequestFailure(failure) && failure._tag === "Fault" ? failure.fault : undefined
    }
  })

const opening = (swarm: TestSwarm, more: Partial<Messages["open"]> = {}): Messages["open"] => ({
  session: `s-${Math.random()}`,
  epoch: 1,
  model: swarm.model.digest,
  blocks: CUTS[0],
  maxTokens: 64,
  codec: "f32",
  next: { kind: "client" },
  sendFrom: 0,
  journalFrom: -1,
  ...more
})

const rows = (count: number, value = 1) =>
  encodeRows("f32", new Float32Array(count * HIDDEN).fill(value), HIDDEN).payload

describe("bytes that are no frames", () => {
  const good = hello()
  const cases: ReadonlyArray<readonly [string, Uint8Array]> = [
    ["nothing", new Uint8Array(0)],
    ["text", new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n")],
    ["a truncated frame", good.slice(0, good.length - 3)],
    ["a frame with a flipped bit", good.map((byte, i) => (i === good.length - 2 ? byte ^ 4 : byte))],
    ["a length that lies", good.map((byte, i) => (i === 15 || i === 19 ? 0x7f : byte))],
    ["an unknown layout", good.map((byte, i) => (i === 8 ? 99 : byte))],
    [
      "a version that nobody speaks",
      encodeFrame("hello", 1, { versions: [77], peer: "future", software: "test", nonce: new Uint8Array(16) })
    ],
    [
      "a step before the hello",
      encodeFrame("step", 0, { session: "x", epoch: 1, position: 0, tokens: 1, codec: "f32", want: "last" }, rows(1))
    ]
  ]
  for (const [name, bytes] of cases) {
    it.scopedLive(name, () =>
      Effect.gen(function* () {
        const { swarm, client, victim } = yield* setUp
        const made = yield* socket(victim.server.address)
        made.send(bytes)
        yield* closes(made).pipe(Effect.timeout(8000))
        yield* alive(client, swarm)
      })
    )
  }

  it.scopedLive("garbage after a good hello closes that channel only", () =>
    Effect.gen(function* () {
      const { swarm, client, victim } = yield* setUp
      const made = yield* socket(victim.server.address)
      made.send(hello())
      yield* Effect.promise(() => new Promise((resolve) => made.once("message", resolve)))
      made.send(new Uint8Array(100).fill(7))
      yield* closes(made).pipe(Effect.timeout(3000))
      yield* alive(client, swarm)
    })
  )

  it.scopedLive("a message beyond the limit", () =>
    Effect.gen(function* () {
      const { swarm, client, victim } = yield* setUp
      const made = yield* socket(victim.server.address)
      made.on("error", () => {})
      made.send(new Uint8Array(64 * 1024 * 1024))
      yield* closes(made).pipe(Effect.timeout(8000))
      yield* alive(client, swarm)
    })
  )
})

describe("frames that make no sense", () => {
  it.scopedLive("sessions that cannot be opened: each with its own fault", () =>
    Effect.gen(function* () {
      const { swarm, client, victim } = yield* setUp
      const { connection } = yield* stranger(victim.server.address)
      const code = (more: Partial<Messages["open"]>) =>
        Effect.map(faultOf(connection, "open", opening(swarm, more)), (fault) => fault?.code)
      assert.strictEqual(yield* code({ model: "another" }), "unknown-model")
      assert.strictEqual(yield* code({ blocks: { from: 1, to: 4 } }), "wrong-blocks")
      assert.strictEqual(yield* code({ maxTokens: 1_000_000 }), "too-long")
      assert.strictEqual(
        yield* code({ next: { kind: "peer", peer: "p", address: "ws://127.0.0.1:1", session: "s" } }),
        "next-gone"
      )
      assert.strictEqual(yield* code({ session: "twice" }), undefined)
      assert.strictEqual(yield* code({ session: "twice" }), "protocol")
      assert.strictEqual((yield* faultOf(connection, "hold", { session: "nobody", epoch: 1 }))?.code, "unknown-session")
      yield* alive(client, swarm)
    })
  )

  it.scopedLive("steps: unknown session, gap, too long, NaN, wrong length; a stale epoch is dropped", () =>
    Effect.gen(function* () {
      const { swarm, client, victim } = yield* setUp
      const { connection, frames } = yield* stranger(victim.server.address)
      const session = "steps"
      yield* Effect.promise(() => connection.request("open", opening(swarm, { session, epoch: 5 })))
      const step = (body: Partial<Messages["step"]>, payload: Uint8Array) =>
        Effect.promise(async () => {
          frames.length = 0
          connection.notify(
            "step",
            { session, epoch: 5, position: 0, tokens: 1, codec: "f32", want: "last", ...body },
            payload
          )
          await connection.ping()
          await new Promise((resolve) => setTimeout(resolve, 20))
          const [frame] = frames
          return frame?.kind === "sessionFault" ? frame.body.fault.code : frame?.kind
        })
      assert.strictEqual(yield* step({ session: "nobody" }, rows(1)), "unknown-session")
      assert.strictEqual(yield* step({ position: 9 }, rows(1)), "gap")
      assert.strictEqual(yield* step({ tokens: 65 }, rows(65)), "too-long")
      assert.strictEqual(yield* step({}, rows(1, Number.NaN)), "bad-step")
      assert.strictEqual(yield* step({ tokens: 2 }, rows(1)), "bad-step")
      assert.strictEqual(yield* step({ epoch: 4 }, rows(1)), undefined)
      assert.strictEqual(yield* step({}, rows(1)), "output")
      // the same once more: harmless and silent
      assert.strictEqual(yield* step({}, rows(1)), undefined)
      yield* alive(client, swarm)
    })
  )

  it.scopedLive("requests that a server does not take", () =>
    Effect.gen(function* () {
      const { swarm, client, victim } = yield* setUp
      const { connection } = yield* stranger(victim.server.address)
      const forged = { record: encodeRecord(victim.server.announcement(), Date.now(), makeIdentity()) }
      const refused = yield* Effect.promise(() =>
        connection.request("announce", forged).then(
          () => undefined,
          (failure: unknown) => failure
        )
      )
      assert.isTrue(isRequestFailure(refused) && refused._tag === "Fault")
      for (const kind of ["output", "journal"] as ReadonlyArray<Extract<Kind, "output" | "journal">>) {
        connection.notify(kind, { session: "x", epoch: 1, position: 0, tokens: 1, codec: "f32" }, rows(1))
      }
      yield* alive(client, swarm)
    })
  )

  it.scopedLive("a next hop at whose address another peer answers: elsewhere, and the peer is named", () =>
    Effect.gen(function* () {
      const { swarm, servers, client, victim } = yield* setUp
      const { connection } = yield* stranger(victim.server.address)
      const address = servers[1]?.[0]?.server.address ?? ""
      const next = { kind: "peer", peer: "somebody-else", address, session: "s" } as const
      const fault = yield* faultOf(connection, "open", opening(swarm, { next }))
      assert.deepInclude(fault, { code: "next-gone", kind: "elsewhere", peer: "somebody-else" })
      assert.strictEqual(victim.server.status().sessions, 0)
      yield* alive(client, swarm)
    })
  )

  it.scopedLive("KV memory that is used up: later, with a time", () =>
    Effect.gen(function* () {
      const { swarm } = yield* setUp
      const small = yield* swarm.start(oracleSpan({ from: 0, to: 4, hiddenSize: HIDDEN }), { kvBytes: 64 * 100 })
      const { connection } = yield* stranger(small.server.address)
      assert.isUndefined(yield* faultOf(connection, "open", opening(swarm)))
      const fault = yield* faultOf(connection, "open", opening(swarm))
      assert.strictEqual(fault?.code, "cache-full")
      assert.strictEqual(fault?.kind, "later")
      assert.isAbove(fault?.retryAfter ?? 0, 0)
      connection.close()
      yield* Effect.sleep(100)
      assert.strictEqual(small.server.status().sessions, 0)
    })
  )
})

describe("peers that lie", () => {
  it.scopedLive("a server that gives rows of a wrong size, or no numbers, is left for another", () =>
    Effect.gen(function* () {
      for (const lie of ["short", "nan"] as const) {
        const { swarm, client, servers } = yield* setUp
        yield* servers[1]?.[0]?.kill ?? Effect.void
        const honest = oracleSpan({ from: 4, to: 8, hiddenSize: HIDDEN })
        let lying = false
        const liar = yield* swarm.start({
          ...honest,
          run: async (steps, x) => {
            const y = await honest.run(steps, x)
            if (!lying) return y
            return lie === "short" ? y.slice(0, -1) : y.fill(Number.NaN)
          }
        })
        const ids = prompt(2, 30)
        const expected = yield* Effect.promise(() => undisturbed(ids, 8))
        const chain = yield* client.open({ model: swarm.model, maxTokens: 128, graceSeconds: 5 })
        assert.strictEqual(chain.route()[1]?.peer, liar.server.peer)
        yield* swarm.start(oracleSpan({ from: 4, to: 8, hiddenSize: HIDDEN }))
        const strike = async (token: number) => {
          if (token === 3) lying = true
        }
        assert.deepStrictEqual(yield* Effect.promise(() => run(chain, ids, 8, strike)), expected)
        assert.notStrictEqual(chain.route()[1]?.peer, liar.server.peer)
      }
    })
  )

  it.scopedLive("a server that announces blocks which it does not serve is left for another", () =>
    Effect.gen(function* () {
      const { swarm, client } = yield* setUp
      const span = oracleSpan({ from: 4, to: 8, hiddenSize: HIDDEN })
      // it says 4:8 and serves 5:8
      let asked = 0
      yield* swarm.start(
        new Proxy(span, {
          get: (target, key) => (key === "from" && asked++ % 2 === 1 ? 5 : Reflect.get(target, key))
        })
      )
      for (let i = 0; i < 5; i++) yield* alive(client, swarm)
    })
  )
})

describe("many channels", () => {
  it.scopedLive("200 opened and left idle do not keep others out, and are closed", () =>
    Effect.gen(function* () {
      const { swarm, client, victim } = yield* setUp
      const sockets = yield* Effect.forEach(Array.from({ length: 200 }), () => socket(victim.server.address), {
        concurrency: 20
      })
      yield* alive(client, swarm)
      yield* Effect.forEach(sockets, (made) => closes(made), { concurrency: "unbounded" }).pipe(Effect.timeout(12_000))
      assert.isAtMost(victim.server.status().channels, 10)
    })
  )
})
