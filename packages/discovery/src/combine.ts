/**
 * Several discoveries as one.
 * @module
 */
import type { Announcement } from "@swarm/protocol"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type { Service } from "./Discovery.ts"
import type { Heard } from "./Heard.ts"
import { addRefusals, noRefusals } from "./Refusals.ts"

/** When one service has answered, the others get so long. */
const GRACE_MILLISECONDS = 500

/**
 * Announces through all of `services`, and knows what any of them knows: of two announcements of one peer the newer, which among services that
 * do not tell what they `heard` is the one that lives longer. `refresh` succeeds if one of them does, soon after it, and fails with the first's reason.
 */
export const combine = (services: readonly [Service, ...ReadonlyArray<Service>]): Service => {
  const all = (run: (service: Service) => Effect.Effect<void>): Effect.Effect<void> =>
    Effect.forEach(services, run, { concurrency: "unbounded", discard: true })
  return {
    announce: (announcement) => all((service) => service.announce(announcement)),
    withdraw: all((service) => service.withdraw),
    known: () => newest(services),
    heard: () => services.flatMap((service) => service.heard?.() ?? []),
    refused: () => services.map((service) => service.refused?.() ?? noRefusals()).reduce(addRefusals),
    refresh: Effect.gen(function* () {
      const [first, ...others] = services
      const isAnswered = yield* Deferred.make<void>()
      const all = Effect.forEach(
        [first, ...others],
        (service) =>
          service.refresh.pipe(
            Effect.tap(() => Deferred.succeed(isAnswered, undefined)),
            Effect.either
          ),
        { concurrency: "unbounded" }
      )
      const enough = Effect.zipRight(Deferred.await(isAnswered), Effect.as(Effect.sleep(GRACE_MILLISECONDS), []))
      const answers = yield* Effect.raceFirst(all, enough)
      const [failed] = answers
      if (failed?._tag === "Left" && answers.every(({ _tag }) => _tag === "Left")) return yield* failed.left
    })
  }
}

const newest = (services: ReadonlyArray<Service>): ReadonlyArray<Announcement> => {
  const issued = new Map<string, number>()
  const byPeer = new Map<string, Announcement>()
  for (const service of services) {
    const times = new Map(
      (service.heard?.() ?? []).map(({ announcement, issuedAt }: Heard) => [announcement.peer, issuedAt])
    )
    for (const announcement of service.known()) {
      const { peer, timeToLive } = announcement
      const [time, before] = [times.get(peer) ?? timeToLive, issued.get(peer)]
      if (before !== undefined && before >= time) continue
      issued.set(peer, time)
      byPeer.set(peer, announcement)
    }
  }
  return [...byPeer.values()]
}
