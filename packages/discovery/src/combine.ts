/**
 * Several discoveries as one.
 * @module
 */
import type { Announcement } from "@swarm/protocol"
import * as Effect from "effect/Effect"
import type { Service } from "./Discovery.ts"
import type { DiscoveryError } from "./DiscoveryError.ts"
import type { Heard } from "./Heard.ts"
import { addRefusals, noRefusals } from "./Refusals.ts"

/**
 * Announces through all of `services`, and knows what any of them knows: of two announcements of one peer the newer, which among services that
 * do not tell what they `heard` is the one that lives longer. `refresh` succeeds if one of them does, and fails with the first's reason.
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
    refresh: Effect.suspend(() => {
      const [first, ...others] = services
      return Effect.forEach([first, ...others], (service) => Effect.either(service.refresh), {
        concurrency: "unbounded"
      }).pipe(
        Effect.flatMap((answers): Effect.Effect<void, DiscoveryError> => {
          const [failed] = answers
          return answers.some(({ _tag }) => _tag === "Right") || failed?._tag !== "Left"
            ? Effect.void
            : Effect.fail(failed.left)
        })
      )
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
