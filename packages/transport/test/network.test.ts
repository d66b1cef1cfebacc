import { createHash } from "node:crypto"
import { assert, describe, it, layer } from "@effect/vitest"
import {
  type Scope as InviteScope,
  identityFrom,
  isSigned,
  makeIdentity,
  makeInvite,
  makeMembership,
  readInvite,
  signRevocations
} from "@swarm/identity"
import { decodeFrame, elsewhere, encodeFrame, type Frame, type Hello, NONCE_BYTES } from "@swarm/protocol"
import {
  type Channel,
  type Connection,
  isRequestFailure,
  layerMemory,
  layerNetwork,
  layerWebSocket,
  makeNetwork,
  Network,
  type RequestFailure,
  Transport
} from "@swarm/transport"
import { Effect, Exit, Fiber, Layer, Scope } from "effect"

const failure = (promise: Promise<unknown>): Effect.Effect<RequestFailure> =>
  Effect.promise(() =>
    promise.then(
      () => assert.fail("the request succeeded"),
      (error) => {
        assert.isTrue(isRequestFailure(error), String(error))
        return error as RequestFailure
      }
    )
  )

const eventually = (condition: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() => (condition() ? Effect.void : Effect.delay(eventually(condition), "5 millis")))

/** The identity of this name. */
const named = (name: string) => identityFrom(createHash("sha256").update(name).digest())
const idOf = (name: string): string => named(name).peer

const serverOf = (name: string, address: string, onConnection: (connection: Connection) => void, helloSeconds = 5) =>
  Effect.gen(function* () {
    const network = yield* makeNetwork({ identity: named(name), software: "test 1", helloSeconds })
    return { network, address: yield* network.serve(address, onConnection) }
  })

const clientOf = (name: string, helloSeconds = 5) =>
  makeNetwork({ identity: named(name), software: "test 1", helloSeconds })

/** The next frame on a bare channel. */
const frameOf = (channel: Channel): Promise<Frame> =>
  new Promise((resolve) => channel.receive((bytes) => resolve(decodeFrame(bytes))))

const hello = (extra: Partial<Hello> = {}): Uint8Array =>
  encodeFrame("hello", 1, { versions: [2], peer: idOf("bare"), software: "bare", nonce: NONCE, ...extra })

const NONCE = new Uint8Array(NONCE_BYTES)

/** Goes through the handshake by hand, as `name`; the channel is a connection for the other end after it. */
const greetBy = (channel: Channel, name: string) =>
  Effect.promise(async () => {
    const welcome = frameOf(channel)
    channel.send(hello({ peer: idOf(name) }))
    const { kind, body } = await welcome
    if (kind !== "welcome") return assert.fail(`${kind} instead of a welcome`)
    const said = Buffer.concat([NONCE, body.nonce, Buffer.from(`${idOf(name)} ${body.peer}`)])
    assert.isTrue(isSigned(body.peer, "welcome", said, body.signature))
    channel.send(encodeFrame("proof", 0, { signature: named(name).sign("proof", said) }))
  })

const carriers = [
  { name: "memory", transport: layerMemory, address: "memory:" },
  { name: "websocket", transport: layerWebSocket(), address: "ws://127.0.0.1:0" }
]

for (const { name, transport, address } of carriers) {
  layer(transport, { excludeTestServices: true })(`a network over ${name}`, (it) => {
    it.scoped("introduces both ends, and lists the connection at both", () =>
      Effect.gen(function* () {
        const incoming: Array<Connection> = []
        const server = yield* serverOf("server", address, (c) => incoming.push(c))
        const client = yield* makeNetwork({
          identity: named("client"),
          software: "test 2",
          serveAddress: "ws://10.0.0.1:7"
        })
        const connection = yield* client.connect(server.address)
        assert.deepStrictEqual(connection.hello, {
          versions: [2],
          peer: idOf("server"),
          software: "test 1",
          address: server.address
        })
        yield* eventually(() => incoming.length === 1)
        assert.strictEqual(incoming[0]?.peer, idOf("client"))
        assert.strictEqual(incoming[0]?.hello.address, "ws://10.0.0.1:7")
        assert.deepStrictEqual(client.connections(), [connection])
        assert.deepStrictEqual(server.network.connections(), incoming)
      })
    )

    it.scoped("names in later hellos the address that it serves", () =>
      Effect.gen(function* () {
        const incoming: Array<Connection> = []
        const first = yield* serverOf("first", address, (c) => incoming.push(c))
        const second = yield* serverOf("second", address, () => {})
        yield* second.network.connect(first.address)
        yield* eventually(() => incoming.length === 1)
        assert.strictEqual(incoming[0]?.hello.address, second.address)
      })
    )

    it.scoped("shares one dial among callers, and dials anew once the connection is closed", () =>
      Effect.gen(function* () {
        let accepted = 0
        const server = yield* serverOf("server", address, () => accepted++)
        const client = yield* clientOf("client")
        const [a, b] = yield* Effect.all([client.connect(server.address), client.connect(server.address)], {
          concurrency: "unbounded"
        })
        assert.strictEqual(a, b)
        assert.strictEqual(yield* client.connect(server.address), a)
        a.close()
        assert.deepStrictEqual(client.connections(), [])
        const c = yield* client.connect(server.address)
        assert.notStrictEqual(c, a)
        assert.isFalse(c.isClosed())
        yield* eventually(() => accepted === 2)
        yield* eventually(() => server.network.connections().length === 1)
      })
    )

    it.scoped("goes on with a dial when one of those who wait for it is interrupted", () =>
      Effect.gen(function* () {
        const server = yield* serverOf("server", address, () => {})
        const client = yield* clientOf("client")
        const first = yield* Effect.fork(client.connect(server.address))
        yield* Effect.yieldNow()
        const second = yield* Effect.fork(client.connect(server.address))
        yield* Fiber.interrupt(first)
        assert.strictEqual((yield* Fiber.join(second)).peer, idOf("server"))
      })
    )

    it.scoped("answers requests by reply, fault, deadline and close, each with its payload", () =>
      Effect.gen(function* () {
        const server = yield* serverOf("server", address, (connection) =>
          connection.receive((frame) => {
            if (frame.kind === "find") {
              connection.reply(frame.request + 1000, "found", { announcements: [] }) // nobody asked
              connection.reply(frame.request, "found", { announcements: [] }, frame.payload)
            }
            if (frame.kind === "open") connection.reply(frame.request, "fault", elsewhere("wrong-blocks", "not here"))
            if (frame.kind === "close") connection.close("enough")
          })
        )
        const client = yield* clientOf("client")
        const connection = yield* client.connect(server.address)
        const payload = Uint8Array.of(1, 2, 3)
        const found = yield* Effect.promise(() => connection.request("find", { model: "" }, { payload }))
        assert.deepStrictEqual(found.body.announcements, [])
        assert.deepStrictEqual(found.payload, payload)

        const open = { session: "s", epoch: 0, model: "m", blocks: { from: 0, to: 1 }, maxTokens: 1 } as const
        const link = { codec: "f32", next: { kind: "client" }, sendFrom: 0, journalFrom: -1 } as const
        assert.deepStrictEqual(yield* failure(connection.request("open", { ...open, ...link })), {
          _tag: "Fault",
          fault: { kind: "elsewhere", code: "wrong-blocks", detail: "not here" }
        })
        const late = connection.request("hold", { session: "s", epoch: 1 }, { timeoutSeconds: 0.05 })
        assert.deepStrictEqual(yield* failure(late), { _tag: "Timeout" })

        const never = connection.request("status", {}, { timeoutSeconds: Number.POSITIVE_INFINITY })
        const closing = connection.request("close", { session: "s" })
        for (const pending of [closing, never, connection.request("status", {})]) {
          const failed = yield* failure(pending)
          assert.strictEqual(failed._tag === "Closed" && failed.closed.detail, "enough")
        }
        assert.isFalse(connection.notify("ping", { nonce: 1 }))
      })
    )

    it.scoped("measures round trips", () =>
      Effect.gen(function* () {
        const server = yield* serverOf("server", address, () => {})
        const client = yield* clientOf("client")
        const connection = yield* client.connect(server.address)
        assert.isUndefined(connection.roundTrip())
        const first = yield* Effect.promise(() => connection.ping())
        assert.strictEqual(connection.roundTrip(), first)
        const second = yield* Effect.promise(() => connection.ping())
        assert.closeTo(connection.roundTrip() ?? 0, 0.8 * first + 0.2 * second, 1e-12)
      })
    )

    it.scoped("keeps what came before a receiver was set, in order, and carries payloads", () =>
      Effect.gen(function* () {
        const server = yield* serverOf("server", address, (connection) => {
          for (let i = 0; i < 10; i++) {
            const rows = { session: "s", epoch: 0, position: i, tokens: 1, codec: "f32" } as const
            connection.notify("output", rows, new Uint8Array(40).fill(i))
          }
        })
        const client = yield* clientOf("client")
        const connection = yield* client.connect(server.address)
        yield* Effect.sleep("20 millis")
        const frames: Array<Frame> = []
        connection.receive((frame) => frames.push(frame))
        yield* eventually(() => frames.length === 10)
        for (const [i, frame] of frames.entries()) {
          assert.strictEqual(frame.kind === "output" && frame.body.position, i)
          assert.deepStrictEqual(frame.payload, new Uint8Array(40).fill(i))
          assert.strictEqual(frame.payload.byteOffset % 8, 0)
        }
      })
    )

    it.scoped("tells who breaks the protocol, closes that connection, and keeps the others", () =>
      Effect.gen(function* () {
        const incoming: Array<Connection> = []
        const server = yield* serverOf("server", address, (c) => incoming.push(c))
        const client = yield* clientOf("client")
        const good = yield* client.connect(server.address)
        const bare = yield* Effect.flatMap(Transport, (t) => t.dial(server.address))
        yield* greetBy(bare, "bare")
        const told = frameOf(bare)
        const broken = encodeFrame("ping", 2, { nonce: 1 })
        broken.fill(0xff, 30, 31)
        bare.send(broken)
        const frame = yield* Effect.promise(() => told)
        assert.strictEqual(frame.kind === "fault" && frame.body.code, "protocol")
        yield* Effect.promise(() => bare.closed)
        const closed = yield* Effect.promise(() => (incoming[1] as Connection).closed)
        assert.strictEqual(closed.reason, "protocol")
        assert.include(closed.detail, "checksum")
        assert.deepStrictEqual(server.network.connections(), incoming.slice(0, 1))
        assert.isAbove(yield* Effect.promise(() => good.ping()), 0)
      })
    )

    it.scoped("says why to the one whose frame it refused", () =>
      Effect.gen(function* () {
        const incoming: Array<Connection> = []
        const server = yield* serverOf("server", address, (c) => incoming.push(c))
        const client = yield* clientOf("client")
        const connection = yield* client.connect(server.address)
        yield* eventually(() => incoming.length === 1)
        connection.send(new Uint8Array(5))
        const closed = yield* Effect.promise(() => connection.closed)
        assert.strictEqual(closed.reason, "remote")
        assert.include(closed.detail, "5 bytes are less than a prefix")
      })
    )

    it.scoped("closes the connection whose receiver fails, without telling the peer what is ours", () =>
      Effect.gen(function* () {
        const incoming: Array<Connection> = []
        const server = yield* serverOf("server", address, (connection) => {
          incoming.push(connection)
          connection.receive(() => {
            throw new Error("secret")
          })
        })
        const client = yield* clientOf("client")
        const connection = yield* client.connect(server.address)
        connection.notify("close", { session: "s" })
        const closed = yield* Effect.promise(() => connection.closed)
        assert.notInclude(closed.detail, "secret")
        assert.include((yield* Effect.promise(() => (incoming[0] as Connection).closed)).detail, "secret")
      })
    )

    it.scoped("closes a connection whose acceptor fails, and takes the next", () =>
      Effect.gen(function* () {
        let accepted = 0
        const server = yield* serverOf("server", address, () => {
          if (accepted++ === 0) throw new Error("secret")
        })
        const first = yield* clientOf("first")
        const connection = yield* first.connect(server.address)
        const closed = yield* Effect.promise(() => connection.closed)
        assert.notInclude(closed.detail, "secret")
        const second = yield* clientOf("second")
        const next = yield* second.connect(server.address)
        assert.isAbove(yield* Effect.promise(() => next.ping()), 0)
      })
    )

    it.scoped("refuses a reply of the wrong kind", () =>
      Effect.gen(function* () {
        const server = yield* serverOf("server", address, (connection) =>
          connection.receive((frame) => connection.reply(frame.request, "opened", { digest: "", reproducible: true }))
        )
        const client = yield* clientOf("client")
        const connection = yield* client.connect(server.address)
        const failed = yield* failure(connection.request("find", { model: "" }))
        assert.strictEqual(failed._tag === "Closed" && failed.closed.reason, "protocol")
      })
    )

    it.scoped("hears nobody who does not prove to be who it says", () =>
      Effect.gen(function* () {
        const server = yield* serverOf("server", address, () => assert.fail("it was let in"))
        const t = yield* Transport
        const late = encodeFrame("find", 5, { model: "" })
        const proofs = [
          encodeFrame("proof", 0, { signature: new Uint8Array(64) }),
          encodeFrame("proof", 0, { signature: named("thief").sign("proof", new Uint8Array(32)) }),
          late
        ]
        for (const proof of proofs) {
          const bare = yield* t.dial(server.address)
          const welcome = frameOf(bare)
          bare.send(hello({ peer: idOf("client") }))
          assert.strictEqual((yield* Effect.promise(() => welcome)).kind, "welcome")
          const told = frameOf(bare)
          bare.send(proof)
          const answer = yield* Effect.promise(() => told)
          const code = answer.kind === "fault" && answer.body.code
          assert.strictEqual(code, proof === late ? "protocol" : "unauthorized")
          assert.strictEqual((yield* Effect.promise(() => bare.closed)).reason, "remote")
        }
      })
    )

    it.scoped("fails to connect to another peer than the one that is wanted", () =>
      Effect.gen(function* () {
        const server = yield* serverOf("server", address, () => {})
        const client = yield* clientOf("client")
        const error = yield* Effect.flip(client.connect(server.address, idOf("other")))
        assert.deepStrictEqual([error._tag, error.reason], ["DialError", "handshake"])
        assert.strictEqual((yield* client.connect(server.address, idOf("server"))).peer, idOf("server"))
      })
    )

    it.scoped(
      "of a private swarm refuses who has no invite, or one that is too small, and is refused by strangers",
      () =>
        Effect.gen(function* () {
          const authority = makeIdentity()
          const member = (name: string, scope: InviteScope, by = authority) => {
            const invite = makeInvite(by, scope, Number.POSITIVE_INFINITY)
            const identity = named(name)
            return makeNetwork({ identity, software: "t", membership: makeMembership({ invite, peer: identity.peer }) })
          }
          const server = yield* member("server", "serve")
          const at = yield* server.serve(address, () => {})
          const user = yield* member("user", "use")
          const userAt = yield* user.serve(address, () => {})
          const open = yield* serverOf("open", address, () => {})
          const refused: ReadonlyArray<readonly [Network, string, string]> = [
            [yield* clientOf("stranger"), at, "an invite is needed"],
            [yield* member("guest of others", "serve", makeIdentity()), at, "another swarm"],
            [server, open.address, "an invite is needed"],
            [server, userAt, "not to serve"]
          ]
          for (const [network, to, why] of refused) {
            const error = yield* Effect.flip(network.connect(to))
            assert.strictEqual(error.reason, "handshake")
            assert.include(error.detail, why)
          }
          assert.strictEqual((yield* user.connect(at)).peer, server.self)
          yield* eventually(() => server.connections().length === 1)
        })
    )

    it.scoped("of a private swarm disconnects who is revoked, everywhere that the news comes", () =>
      Effect.gen(function* () {
        const authority = makeIdentity()
        const invites = new Map<string, string>()
        const member = (name: string) => {
          const invite = makeInvite(authority, "serve", Number.POSITIVE_INFINITY)
          invites.set(name, readInvite(invite).id)
          const identity = named(name)
          return makeNetwork({ identity, software: "t", membership: makeMembership({ invite, peer: identity.peer }) })
        }
        const [a, b, c, guest] = [yield* member("a"), yield* member("b"), yield* member("c"), yield* member("guest")]
        const [atA, atB] = [yield* a.serve(address, () => {}), yield* b.serve(address, () => {})]
        const toA = yield* guest.connect(atA)
        const toB = yield* guest.connect(atB)
        yield* b.connect(atA)
        yield* eventually(() => a.connections().length === 2 && b.connections().length === 2)
        const list = signRevocations(authority, [invites.get("guest") ?? ""], 1)
        assert.isTrue(a.revoke(list))
        assert.isFalse(a.revoke(list))
        yield* Effect.promise(() => Promise.all([toA.closed, toB.closed]))
        assert.include((yield* Effect.flip(guest.connect(atB))).detail, "revoked")
        // who comes later hears of it
        yield* c.connect(atA)
        yield* eventually(() => c.membership?.revocations() !== undefined)
        yield* eventually(() => a.connections().length === 2)
      })
    )

    it.scoped("refuses who speaks no common version, with the fault `version`", () =>
      Effect.gen(function* () {
        const server = yield* serverOf("server", address, () => assert.fail("it was let in"))
        const t = yield* Transport
        const messages = yield* Effect.promise(async () => {
          const other = hello()
          other[8] = 9 // the layout's version
          return [hello({ versions: [98, 99] }), other]
        })
        for (const message of messages) {
          const bare = yield* t.dial(server.address)
          const answer = frameOf(bare)
          bare.send(message)
          const frame = yield* Effect.promise(() => answer)
          assert.strictEqual(frame.kind === "fault" && frame.body.code, "version")
          assert.strictEqual((yield* Effect.promise(() => bare.closed)).reason, "remote")
        }
      })
    )

    it.scoped(
      "fails to connect to who welcomes in a version that it was not offered, or does not speak the protocol",
      () =>
        Effect.gen(function* () {
          const t = yield* Transport
          const signature = new Uint8Array(64)
          const common = { software: "s", nonce: NONCE, signature }
          const welcome = encodeFrame("welcome", 1, { version: 99, peer: idOf("p"), ...common })
          const unsigned = encodeFrame("welcome", 1, { version: 2, peer: idOf("p"), ...common })
          const client = yield* clientOf("client")
          for (const answer of [welcome, unsigned, new Uint8Array(100), encodeFrame("ping", 1, { nonce: 1 })]) {
            const at = yield* t.listen(address, (channel) => channel.receive(() => channel.send(answer)))
            const error = yield* Effect.flip(client.connect(at))
            assert.deepStrictEqual([error._tag, error.reason], ["DialError", "handshake"])
          }
          assert.deepStrictEqual(client.connections(), [])
        })
    )

    it.scoped("gives up a peer that stays silent, at both ends", () =>
      Effect.gen(function* () {
        const t = yield* Transport
        const silent = yield* t.listen(address, () => {})
        const client = yield* clientOf("client", 0.1)
        const error = yield* Effect.flip(client.connect(silent))
        assert.deepStrictEqual([error._tag, error.reason], ["DialError", "timeout"])
        const server = yield* serverOf("server", address, () => assert.fail("it was let in"), 0.1)
        const bare = yield* t.dial(server.address)
        const closed = yield* Effect.promise(() => bare.closed)
        assert.include(closed.detail, "no handshake within 0.1 s")
      })
    )

    it.scoped("ends with its scope: connections close, what waits fails, nothing is dialled any more", () =>
      Effect.gen(function* () {
        const server = yield* serverOf("server", address, () => {})
        const own = yield* Scope.make()
        const client = yield* Scope.extend(clientOf("client"), own)
        const connection = yield* client.connect(server.address)
        const pending = yield* Effect.fork(failure(connection.request("status", {})))
        const silent = yield* Effect.flatMap(Transport, (t) => t.listen(address, () => {}))
        const dialling = yield* Effect.fork(Effect.flip(client.connect(silent)))
        yield* Effect.sleep("10 millis")
        yield* Scope.close(own, Exit.void)
        assert.strictEqual((yield* Fiber.join(pending))._tag, "Closed")
        assert.strictEqual((yield* Fiber.join(dialling))._tag, "DialError")
        assert.strictEqual((yield* Effect.flip(client.connect(server.address)))._tag, "DialError")
        yield* eventually(() => server.network.connections().length === 0)
      })
    )
  })
}

describe("layerNetwork", () => {
  it.live("provides the network", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* Network).self, idOf("me"))
    }).pipe(Effect.provide(Layer.provide(layerNetwork({ identity: named("me"), software: "test" }), layerMemory)))
  )
})
