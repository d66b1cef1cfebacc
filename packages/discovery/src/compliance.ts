/**
 * What every discovery must do, as a test suite: call `discovery` in a test file of yours.
 * @module
 */
import { assert, describe, it } from "@effect/vitest"
import type { Announcement } from "@swarm/protocol"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import type { Service } from "./Discovery.ts"

/** Two peers of one swarm in which nobody else serves. */
export interface Swarm {
  /** Identity of the one who announces. */
  readonly peer: string
  readonly announcer: Service
  readonly seeker: Service
  /** Takes the announcer away without a word. */
  readonly vanish: Effect.Effect<void>
}

/** @see discovery */
export interface Options {
  readonly name: string
  /** A new swarm; everything of it ends with the scope. */
  readonly swarm: Effect.Effect<Swarm, unknown, Scope.Scope>
  /** A peer that can reach nobody. */
  readonly lost: Effect.Effect<Service, unknown, Scope.Scope>
  /** Time runs on Effect's Clock, so that expiry can be tested. @default {true} */
  readonly testClock?: boolean
}

const TIME_TO_LIVE = 30

const announcement = (peer: string, fields: Partial<Announcement> = {}): Announcement => ({
  peer,
  addresses: ["ws://192.0.2.1:4000"],
  model: "model-digest",
  modelName: "model",
  modelBlocks: 30,
  blocks: { from: 10, to: 20 },
  state: "online",
  decodeRate: 1200.5,
  prefillRate: 20000,
  digest: "span-digest",
  freeTokens: 2048,
  maxTokens: 4096,
  sessions: 1,
  queue: 0,
  version: "0.1.0",
  timeToLive: TIME_TO_LIVE,
  ...fields
})

/** Lets messages arrive that are under way. */
const settle = Effect.promise(async () => {
  for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve))
})

/** Moves the test clock, second by second, so that what is due at a time happens then. */
const pass = (seconds: number) =>
  Effect.forEach(Array.from({ length: seconds }), () => Effect.zipRight(TestClock.adjust("1 second"), settle), {
    discard: true
  })

/** Without what a discovery may change: addresses as seen from elsewhere, and the life that is left. */
const essence = ({ addresses: _, timeToLive: __, ...rest }: Announcement) => rest

const online = (service: Service): ReadonlyArray<Announcement> =>
  service.known().filter(({ state }) => state === "online")

/** Registers the suite. */
export const discovery = (options: Options): void => {
  describe(`${options.name} is a Discovery`, () => {
    it.scoped("knows nothing before it asks", () =>
      Effect.gen(function* () {
        const { seeker } = yield* options.swarm
        assert.deepEqual(seeker.known(), [])
      })
    )

    it.scoped("finds what was announced", () =>
      Effect.gen(function* () {
        const { announcer, peer, seeker } = yield* options.swarm
        const announced = announcement(peer)
        yield* announcer.announce(announced)
        yield* seeker.refresh
        const [found, ...others] = seeker.known()
        assert.deepEqual(others, [])
        if (found === undefined) throw new Error("Nothing was found")
        assert.deepEqual(essence(found), essence(announced))
        assert.isAtLeast(found.addresses.length, 1)
        assert.isAbove(found.timeToLive, 0)
        assert.isAtMost(found.timeToLive, TIME_TO_LIVE)
      })
    )

    it.scoped("replaces what a peer announced before", () =>
      Effect.gen(function* () {
        const { announcer, peer, seeker } = yield* options.swarm
        yield* announcer.announce(announcement(peer, { state: "joining", freeTokens: 1 }))
        yield* seeker.refresh
        yield* announcer.announce(announcement(peer, { freeTokens: 2, blocks: { from: 0, to: 5 } }))
        yield* seeker.refresh
        assert.deepEqual(seeker.known().map(essence), [
          essence(announcement(peer, { freeTokens: 2, blocks: { from: 0, to: 5 } }))
        ])
      })
    )

    it.scoped("does not list the announcer to itself", () =>
      Effect.gen(function* () {
        const { announcer, peer } = yield* options.swarm
        yield* announcer.announce(announcement(peer))
        yield* Effect.ignore(announcer.refresh)
        assert.deepEqual(announcer.known(), [])
      })
    )

    it.scoped("shows a peer that withdrew as online no more", () =>
      Effect.gen(function* () {
        const { announcer, peer, seeker } = yield* options.swarm
        yield* announcer.announce(announcement(peer))
        yield* seeker.refresh
        assert.strictEqual(online(seeker).length, 1)
        yield* announcer.withdraw
        yield* seeker.refresh
        assert.deepEqual(online(seeker), [])
        yield* announcer.announce(announcement(peer))
        yield* seeker.refresh
        assert.strictEqual(online(seeker).length, 1)
      })
    )

    it.scoped("takes a withdrawal when nothing was announced", () =>
      Effect.gen(function* () {
        const { announcer, seeker } = yield* options.swarm
        yield* announcer.withdraw
        yield* seeker.refresh
        assert.deepEqual(seeker.known(), [])
      })
    )

    it.scoped("answers many who refresh at once", () =>
      Effect.gen(function* () {
        const { announcer, peer, seeker } = yield* options.swarm
        yield* announcer.announce(announcement(peer))
        yield* Effect.all(
          Array.from({ length: 20 }, () => seeker.refresh),
          { concurrency: "unbounded" }
        )
        assert.strictEqual(online(seeker).length, 1)
      })
    )

    it.scoped("fails with DiscoveryError if nobody answers and nothing is known, and still takes announcements", () =>
      Effect.gen(function* () {
        const lost = yield* options.lost
        const error = yield* Effect.flip(lost.refresh)
        assert.strictEqual(error._tag, "DiscoveryError")
        assert.match(error.message, /^Cannot find the swarm/)
        assert.deepEqual(lost.known(), [])
        yield* lost.announce(announcement("lost"))
        yield* lost.withdraw
      })
    )

    if (options.testClock === false) return

    it.scoped("keeps an announcement alive as long as the announcer is there", () =>
      Effect.gen(function* () {
        const { announcer, peer, seeker } = yield* options.swarm
        yield* announcer.announce(announcement(peer))
        yield* seeker.refresh
        for (let second = 0; second < 3 * TIME_TO_LIVE; second++) {
          assert.strictEqual(online(seeker).length, 1, `second ${second}`)
          yield* pass(1)
        }
      })
    )

    it.scoped("forgets a peer that is gone when its time is over", () =>
      Effect.gen(function* () {
        const { announcer, peer, seeker, vanish } = yield* options.swarm
        yield* announcer.announce(announcement(peer))
        yield* seeker.refresh
        yield* vanish
        yield* pass(TIME_TO_LIVE + 1)
        assert.deepEqual(seeker.known(), [])
        yield* Effect.ignore(seeker.refresh)
        assert.deepEqual(seeker.known(), [])
      })
    )
  })
}
