/**
 * What every router must do, as a test suite: call `router` in a test file of yours.
 * @module
 */
import { assert, describe, it } from "@effect/vitest"
import type { Announcement, BlockRange } from "@swarm/protocol"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import type { Hop, RouteRequest, Service } from "./Router.ts"

/** @see router */
export interface Options {
  readonly name: string
  /** A new router over what `known` returns at each request, on Effect's Clock. */
  readonly make: (known: () => ReadonlyArray<Announcement>) => Effect.Effect<Service, never, Scope.Scope>
}

/** Longer than any ban may last, in minutes. */
const LONGEST_BAN = 10

/** An announcement for tests: a quick, idle server of blocks [from, to) of the model "model", with two addresses. */
export const server = (peer: string, from: number, to: number, fields: Partial<Announcement> = {}): Announcement => ({
  peer,
  addresses: [`ws://${peer}.test:4000`, `ws://${peer}.example:4000`],
  model: "model",
  modelName: "model",
  modelBlocks: 32,
  blocks: { from, to },
  state: "online",
  decodeRate: 1000,
  prefillRate: 10_000,
  digest: `digest-${peer}`,
  freeTokens: 4096,
  maxTokens: 4096,
  sessions: 0,
  queue: 0,
  version: "0.1.0",
  timeToLive: 30,
  ...fields
})

const request = (from: number, to: number, fields: Partial<RouteRequest> = {}): RouteRequest => ({
  model: "model",
  blocks: { from, to },
  tokens: 512,
  ...fields
})

/** Whether whole spans of `servers` can cover `blocks`. */
const canCover = (servers: ReadonlyArray<Announcement>, { from, to }: BlockRange): boolean =>
  from === to ||
  servers.some(({ blocks }) => blocks.from === from && blocks.to <= to && canCover(servers, { from: blocks.to, to }))

/** Fails unless `hops` are whole announced spans, end to end over exactly `blocks`. */
const checkChain = (hops: ReadonlyArray<Hop>, servers: ReadonlyArray<Announcement>, blocks: BlockRange): void => {
  let at = blocks.from
  for (const hop of hops) {
    const announced = servers.find(({ peer }) => peer === hop.peer)
    assert.deepEqual(hop, {
      peer: hop.peer,
      address: announced?.addresses[0],
      blocks: announced?.blocks,
      digest: announced?.digest
    })
    assert.strictEqual(hop.blocks.from, at)
    at = hop.blocks.to
  }
  assert.strictEqual(at, blocks.to)
}

const spans = FastCheck.array(
  FastCheck.tuple(FastCheck.integer({ min: 0, max: 7 }), FastCheck.integer({ min: 1, max: 4 })),
  { maxLength: 12 }
)

/** Registers the suite. */
export const router = (options: Options): void => {
  const peers = (service: Service, wanted: RouteRequest) =>
    Effect.map(service.route(wanted), (hops) => hops.map(({ peer }) => peer))

  const goals = ["latency", "throughput"] as const

  describe(`${options.name} is a Router`, () => {
    for (const goal of goals) {
      it.effect(`covers exactly the blocks by whole spans, or names what is missing (${goal})`, () =>
        Effect.promise(() =>
          FastCheck.assert(
            FastCheck.asyncProperty(spans, async (pairs) => {
              const servers = pairs.map(([from, length], index) => server(`p${index}`, from, from + length))
              const blocks = { from: 0, to: 8 }
              const found = options
                .make(() => servers)
                .pipe(
                  Effect.flatMap((service) => Effect.either(service.route(request(0, 8, { goal })))),
                  Effect.scoped
                )
              const result = await Effect.runPromise(found)
              assert.strictEqual(result._tag === "Right", canCover(servers, blocks))
              if (result._tag === "Right") return checkChain(result.right, servers, blocks)
              const { missing, model } = result.left
              assert.strictEqual(model, "model")
              assert.isAtLeast(missing.length, 1)
              for (const { from, to } of missing) assert.isTrue(0 <= from && from < to && to <= 8)
            }),
            { numRuns: 200 }
          )
        )
      )
    }

    it.scoped("reads what is known at each request", () =>
      Effect.gen(function* () {
        const known: Array<Announcement> = []
        const service = yield* options.make(() => known)
        const error = yield* Effect.flip(service.route(request(0, 8)))
        assert.deepEqual(error.missing, [{ from: 0, to: 8 }])
        known.push(server("a", 0, 8))
        assert.deepEqual(yield* peers(service, request(0, 8)), ["a"])
      })
    )

    it.scoped("gives the same route for the same knowledge, in whatever order it comes", () =>
      Effect.gen(function* () {
        const servers = [0, 4].flatMap((from) =>
          ["a", "b", "c"].map((peer) => server(`${peer}${from}`, from, from + 4))
        )
        const forth = yield* options.make(() => servers)
        const back = yield* options.make(() => servers.toReversed())
        assert.deepEqual(yield* peers(forth, request(0, 8)), yield* peers(back, request(0, 8)))
      })
    )

    it.scoped("covers a dead hop's blocks by several spans, none of which is cut", () =>
      Effect.gen(function* () {
        const servers = [server("whole", 0, 8), server("left", 2, 4), server("right", 4, 6), server("wide", 3, 6)]
        const service = yield* options.make(() => servers)
        assert.deepEqual(yield* peers(service, request(2, 6)), ["left", "right"])
      })
    )

    it.scoped("never uses peers that join, drain, hold too little, serve another model or are excluded", () =>
      Effect.gen(function* () {
        const servers = [
          server("joins", 0, 8, { state: "joining" }),
          server("drains", 0, 8, { state: "draining" }),
          server("short", 0, 8, { maxTokens: 511 }),
          server("other", 0, 8, { model: "another" }),
          server("excluded", 0, 8)
        ]
        const service = yield* options.make(() => servers)
        for (const goal of goals) {
          const error = yield* Effect.flip(service.route(request(0, 8, { exclude: ["excluded"], goal })))
          assert.deepEqual(error.missing, [{ from: 0, to: 8 }])
          const leftOut = error.banned.map(({ peer }) => peer)
          assert.sameMembers(leftOut, ["joins", "drains", "short", "excluded"])
        }
      })
    )

    it.scoped("prefers a replacement of equal digest above any latency", () =>
      Effect.gen(function* () {
        const servers = [
          server("fast", 0, 8, { decodeRate: 1e9 }),
          server("twin", 0, 8, { digest: "d", decodeRate: 0.1 })
        ]
        const service = yield* options.make(() => servers)
        assert.deepEqual(yield* peers(service, request(0, 8, { digest: "d" })), ["twin"])
        assert.deepEqual(yield* peers(service, request(0, 8, { digest: "e" })), ["fast"])
      })
    )

    it.scoped("leaves out a failed peer at once and for a while, and takes it back when it answers", () =>
      Effect.gen(function* () {
        const servers = [server("a", 0, 8, { decodeRate: 1e9 }), server("b", 0, 8)]
        const service = yield* options.make(() => servers)
        assert.deepEqual(yield* peers(service, request(0, 8)), ["a"])
        yield* service.report("a", { _tag: "Failed", detail: "gone" })
        assert.deepEqual(yield* peers(service, request(0, 8)), ["b"])
        yield* TestClock.adjust(`${LONGEST_BAN} minutes`)
        assert.deepEqual(yield* peers(service, request(0, 8)), ["a"])
        yield* service.report("a", { _tag: "Failed", detail: "gone" })
        yield* service.report("a", { _tag: "Ok" })
        assert.deepEqual(yield* peers(service, request(0, 8)), ["a"])
      })
    )

    it.scoped("says which peers are banned, why and how long, if that leaves no chain", () =>
      Effect.gen(function* () {
        const servers = [server("a", 0, 8), server("b", 8, 16), server("c", 8, 16)]
        const service = yield* options.make(() => servers)
        yield* service.report("b", { _tag: "Failed", detail: "the channel closed" })
        yield* service.report("c", { _tag: "Busy", retryAfter: 60 })
        const error = yield* Effect.flip(service.route(request(0, 16)))
        assert.deepEqual(error.missing, [{ from: 8, to: 16 }])
        const reasons = Object.fromEntries(error.banned.map(({ peer, reason, seconds }) => [peer, { reason, seconds }]))
        assert.include(reasons.b?.reason, "the channel closed")
        assert.isAbove(reasons.b?.seconds ?? 0, 0)
        assert.isAtMost(reasons.c?.seconds ?? 0, 60)
        yield* TestClock.adjust("60 seconds")
        assert.isAtLeast((yield* peers(service, request(0, 16))).length, 2)
      })
    )

    it.scoped("takes reports on peers that it does not know, and numbers that make no sense", () =>
      Effect.gen(function* () {
        const service = yield* options.make(() => [server("a", 0, 8)])
        yield* service.report("stranger", { _tag: "Ok" })
        for (const seconds of [Number.NaN, -1, Number.POSITIVE_INFINITY]) {
          yield* service.report("a", { _tag: "RoundTrip", seconds })
          yield* service.report("stranger", { _tag: "Busy", retryAfter: seconds })
        }
        assert.deepEqual(yield* peers(service, request(0, 8)), ["a"])
      })
    )

    it.scoped("dies of a request that makes no sense", () =>
      Effect.gen(function* () {
        const service = yield* options.make(() => [])
        for (const blocks of [
          { from: 3, to: 3 },
          { from: 0.5, to: 3 },
          { from: Number.NaN, to: 3 }
        ]) {
          const exit = yield* Effect.exit(service.route({ ...request(0, 8), blocks }))
          assert.strictEqual(exit._tag === "Failure" && exit.cause._tag, "Die")
        }
      })
    )
  })
}
