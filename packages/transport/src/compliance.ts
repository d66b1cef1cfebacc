/**
 * The contract of a {@link Transport} as a test suite, for vitest: call it in a test file with your layer.
 *
 * ```ts ignore (registers tests: only inside vitest)
 * import * as compliance from "@swarm/transport/compliance"
 *
 * compliance.transport({ name: "mine", layer: layerMine, address: "mine://localhost:0", dead: "mine://localhost:1" })
 * ```
 *
 * @module
 */
import { assert, layer, type Vitest } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { MAX_WAITING_MESSAGES } from "./Limits.ts"
import { type Channel, type Service, Transport } from "./Transport.ts"

export interface TransportOptions<E = never> {
  /** Name of the carrier, for the titles of the tests. */
  readonly name: string
  readonly layer: Layer.Layer<Transport, E>
  /** An address to listen on as often as one likes: port 0 where there are ports. */
  readonly address: string
  /** An address that nobody listens on. */
  readonly dead: string
  /** Greatest message in bytes that the carrier takes. @default 8 MiB at least */
  readonly maxFrame?: number
  /** Whether messages keep their order. @default true */
  readonly ordered?: boolean
  /** Further tests of this carrier under the same layer. */
  readonly extras?: (it: TransportTest) => void
}

/** What {@link TransportOptions.extras} is given: `it` of `@effect/vitest` with the transport provided. */
export type TransportTest = Vitest.MethodsNonLive<Transport, true>

/** Two ends of one channel. */
export interface Ends {
  readonly transport: Service
  /** The end that dialled. */
  readonly near: Channel
  /** The end that was accepted. */
  readonly far: Channel
}

/** Listens on `address` and dials it; both ends close with the scope. */
export const openEnds = (address: string): Effect.Effect<Ends, unknown, Transport | Scope.Scope> =>
  Effect.gen(function* () {
    const transport = yield* Transport
    const accepted = later<Channel>()
    const at = yield* transport.listen(address, accepted.resolve)
    const near = yield* transport.dial(at)
    return { transport, near, far: yield* Effect.promise(() => accepted.promise) }
  })

/** The first `count` messages that `channel` receives. Sets its receiver. */
export const received = (channel: Channel, count: number): Promise<ReadonlyArray<Uint8Array>> =>
  new Promise((resolve) => {
    const messages: Array<Uint8Array> = []
    channel.receive((message) => {
      messages.push(message)
      if (messages.length === count) resolve(messages)
    })
  })

/** Bytes that tell themselves apart: a different run for each `seed`. */
export const patterned = (bytes: number, seed: number): Uint8Array => {
  const message = new Uint8Array(bytes)
  let state = (seed + 1) * 2654435761
  for (let i = 0; i < bytes; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    message[i] = state >>> 24
  }
  return message
}

const equalBytes = (actual: Uint8Array | undefined, expected: Uint8Array): void => {
  assert.isTrue(actual !== undefined && Buffer.compare(actual, expected) === 0, `${expected.length} bytes were changed`)
}

const later = <A>() => {
  let resolve: (value: A) => void = () => {}
  const promise = new Promise<A>((r) => {
    resolve = r
  })
  return { promise, resolve: (value: A) => resolve(value) }
}

const eventually = (condition: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() => (condition() ? Effect.void : Effect.delay(eventually(condition), "5 millis")))

/** Registers the suite. */
export const transport = <E = never>(options: TransportOptions<E>): void => {
  const { address, dead, maxFrame = Number.POSITIVE_INFINITY, ordered = true } = options
  const ends = openEnds(address)

  layer(options.layer, { excludeTestServices: true })(`${options.name} is a Transport`, (it) => {
    it.scoped("carries messages both ways", () =>
      Effect.gen(function* () {
        const { near, far } = yield* ends
        assert.isTrue(near.send(patterned(2048, 1)))
        assert.isTrue(far.send(patterned(100, 2)))
        const [there] = yield* Effect.promise(() => received(far, 1))
        const [here] = yield* Effect.promise(() => received(near, 1))
        equalBytes(there, patterned(2048, 1))
        equalBytes(here, patterned(100, 2))
      })
    )

    it.scoped("keeps a thousand messages of every size, each way", () =>
      Effect.gen(function* () {
        const { near, far } = yield* ends
        const messages = Array.from({ length: 1000 }, (_, i) => patterned((i * 37) % 3000, i))
        const arrived = Promise.all([received(near, messages.length), received(far, messages.length)])
        for (const message of messages) {
          near.send(message)
          far.send(message)
        }
        for (const side of yield* Effect.promise(() => arrived)) {
          const got = ordered ? side : [...side].sort(Buffer.compare)
          const sent = ordered ? messages : [...messages].sort(Buffer.compare)
          for (const [i, message] of sent.entries()) equalBytes(got[i], message)
        }
      })
    )

    for (const bytes of [0, 1, 65_536, 8 * 1024 * 1024]) {
      if (bytes > maxFrame) continue
      it.scoped(`carries a message of ${bytes} bytes`, () =>
        Effect.gen(function* () {
          const { near, far } = yield* ends
          const arrived = Promise.all([received(far, 1), received(near, 1)])
          near.send(patterned(bytes, 3))
          far.send(patterned(bytes, 4))
          const [there, here] = yield* Effect.promise(() => arrived)
          equalBytes(there[0], patterned(bytes, 3))
          equalBytes(here[0], patterned(bytes, 4))
        })
      )
    }

    it.scoped("keeps messages until a receiver is set", () =>
      Effect.gen(function* () {
        const { near, far } = yield* ends
        for (let i = 0; i < 20; i++) near.send(patterned(50, i))
        yield* Effect.sleep("20 millis")
        const messages = yield* Effect.promise(() => received(far, 20))
        for (const [i, message] of messages.entries()) if (ordered) equalBytes(message, patterned(50, i))
      })
    )

    it.scoped("closes with overflow if too many messages wait for a receiver", () =>
      Effect.gen(function* () {
        const { near, far } = yield* ends
        for (let i = 0; i <= MAX_WAITING_MESSAGES; i++) near.send(new Uint8Array(1))
        const closed = yield* Effect.promise(() => Promise.all([near.closed, far.closed]))
        assert.deepStrictEqual([closed[0].reason, closed[1].reason], ["remote", "overflow"])
      })
    )

    it.scoped("shows in `buffered` what has not left, and none of it in the end", () =>
      Effect.gen(function* () {
        const { near, far } = yield* ends
        const message = patterned(Math.min(maxFrame, 4 * 1024 * 1024), 5)
        const arrived = received(far, 8)
        for (let i = 0; i < 8; i++) near.send(message)
        assert.isAbove(near.buffered(), 0)
        yield* Effect.promise(() => arrived)
        yield* eventually(() => near.buffered() === 0)
      })
    )

    it.scoped("fails to dial where nobody listens", () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(Effect.flatMap(Transport, (t) => t.dial(dead)))
        assert.strictEqual(error._tag, "DialError")
        assert.strictEqual(error.address, dead)
        assert.include(["refused", "timeout", "handshake"], error.reason)
      })
    )

    it.scoped("fails to dial what is no address", () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(Effect.flatMap(Transport, (t) => t.dial("no address")))
        assert.deepStrictEqual([error._tag, error.reason], ["DialError", "address"])
      })
    )

    it.scoped("fails to listen on what is no address, or where somebody listens", () =>
      Effect.gen(function* () {
        const t = yield* Transport
        const none = yield* Effect.flip(t.listen("no address", () => {}))
        const at = yield* t.listen(address, () => {})
        const taken = yield* Effect.flip(t.listen(at, () => {}))
        assert.deepStrictEqual([none._tag, taken._tag], ["ListenError", "ListenError"])
      })
    )

    it.scoped("delivers what was sent before a close, then settles `closed` at both ends", () =>
      Effect.gen(function* () {
        const { near, far } = yield* ends
        const order: Array<string> = []
        far.receive((message) => order.push(`message ${message[0]}`))
        const told = far.closed.then((closed) => order.push(closed.reason))
        near.send(Uint8Array.of(1))
        near.send(Uint8Array.of(2))
        near.close("enough")
        assert.isFalse(near.send(Uint8Array.of(3)))
        near.close("again")
        yield* Effect.promise(() => told)
        assert.deepStrictEqual(order, ["message 1", "message 2", "remote"])
        const [here, there] = yield* Effect.promise(() => Promise.all([near.closed, far.closed]))
        assert.deepStrictEqual([here.reason, here.detail, there.detail], ["local", "enough", "enough"])
        assert.isFalse(far.send(Uint8Array.of(4)))
      })
    )

    it.scoped("delivers nothing to the end that closed", () =>
      Effect.gen(function* () {
        const { near, far } = yield* ends
        let messages = 0
        near.receive(() => messages++)
        far.send(new Uint8Array(10))
        near.close()
        yield* Effect.promise(() => far.closed)
        yield* Effect.sleep("10 millis")
        assert.strictEqual(messages, 0)
      })
    )

    it.scoped("closes a dialled channel with the scope of the dial", () =>
      Effect.gen(function* () {
        const t = yield* Transport
        const accepted = later<Channel>()
        const at = yield* t.listen(address, accepted.resolve)
        const near = yield* Effect.scoped(t.dial(at))
        const far = yield* Effect.promise(() => accepted.promise)
        const closed = yield* Effect.promise(() => Promise.all([near.closed, far.closed]))
        assert.deepStrictEqual([closed[0].reason, closed[1].reason], ["local", "remote"])
      })
    )

    it.scoped("stops listening and closes its channels with the scope of the listener", () =>
      Effect.gen(function* () {
        const t = yield* Transport
        const own = yield* Scope.make()
        const accepted = later<Channel>()
        const at = yield* Scope.extend(t.listen(address, accepted.resolve), own)
        const near = yield* t.dial(at)
        yield* Effect.promise(() => accepted.promise)
        yield* Scope.close(own, Exit.void)
        assert.strictEqual((yield* Effect.flip(t.dial(at)))._tag, "DialError")
        assert.strictEqual((yield* Effect.promise(() => near.closed)).reason, "remote")
      })
    )

    it.scoped("carries a hundred channels at once, each its own messages", () =>
      Effect.gen(function* () {
        const t = yield* Transport
        const at = yield* t.listen(address, (channel) => channel.receive((message) => channel.send(message)))
        const dial = (i: number) =>
          Effect.gen(function* () {
            const channel = yield* t.dial(at)
            const answer = received(channel, 1)
            channel.send(patterned(500, i))
            equalBytes((yield* Effect.promise(() => answer))[0], patterned(500, i))
          })
        yield* Effect.forEach(
          Array.from({ length: 100 }, (_, i) => i),
          dial,
          { concurrency: "unbounded" }
        )
      })
    )

    options.extras?.(it)
  })
}
