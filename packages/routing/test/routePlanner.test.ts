import { assert, describe, it } from "@effect/vitest"
import type { Announcement } from "@swarm/protocol"
import type { Neighbours, RoutePlan, RouteRequest } from "@swarm/routing"
import {
  defaultCosts,
  makeBans,
  makeDemotions,
  makeLinkTable,
  makePings,
  makeRoutePlanner,
  planRoute
} from "@swarm/routing"
import { server } from "@swarm/routing/compliance"
import { seeded } from "./support.ts"

/** What of two plans must be equal; reasons in any order. */
const essence = (plan: RoutePlan) => ({
  tag: plan._tag,
  hops: plan._tag === "Route" ? plan.hops.map(({ peer, blocks }) => [peer, blocks.from, blocks.to]) : plan.missing,
  seconds: plan._tag === "Route" ? plan.seconds : undefined,
  leftOut: plan.leftOut.map(({ peer, reason, seconds }) => `${peer} ${reason} ${seconds.toFixed(6)}`).sort()
})

describe("makeRoutePlanner()", () => {
  it("decides as planRoute() does, over 10,000 changes of the swarm, its bans, round trips and links", () => {
    const random = seeded(17)
    const below = (n: number): number => Math.floor(random() * n)
    const bans = makeBans()
    const pings = makePings({ expirySeconds: 60 })
    const demotions = makeDemotions({ leastSteps: 2, retrySeconds: 40 })
    let now = 0
    const knowledge = {
      bans,
      trips: { client: pings.roundTrips },
      costs: defaultCosts,
      random,
      slowdownOf: (peer: string) => demotions.of(peer, now)?.slowdown ?? 1
    }
    const planner = makeRoutePlanner(knowledge)
    let names = 0
    const announce = (peer: string): Announcement & Neighbours => {
      const from = below(8)
      const nextHops = Array.from({ length: below(4) }, () => ({
        peer: `p${Math.max(0, names - below(28))}`,
        roundTrip: below(4) / 20
      }))
      return {
        ...server(peer, from, Math.min(8, from + 1 + below(4)), {
          decodeRate: [0, 500, 1000][below(3)] ?? 0,
          freeTokens: below(4) === 0 ? 0 : 4096,
          queue: below(2),
          state: below(12) === 0 ? "draining" : "online"
        }),
        ...(nextHops.length === 0 ? {} : { nextHops })
      }
    }
    let known = Array.from({ length: 20 }, () => announce(`p${names++}`))
    const found = { routes: 0, holes: 0, linked: 0 }
    let last: RoutePlan | undefined
    for (let change = 0; change < 10_000; change++) {
      now += random()
      const index = below(known.length)
      const { peer } = known[index] ?? server("nobody", 0, 1)
      const kind = below(8)
      if (kind === 0 && known.length < 28) known.push(announce(`p${names++}`))
      else if (kind === 1 && known.length > 10) known = known.filter((_, at) => at !== index)
      else if (kind === 2) known[index] = announce(peer)
      else if (kind === 3) bans.failed(peer, "gone", now)
      else if (kind === 4) bans.busy(peer, below(10), now)
      else if (kind === 5) bans.ok(peer)
      else if (kind === 6) pings.note(peer, below(5) / 10, now)
      else demotions.note(peer, below(6), 1, now)
      planner.changed(peer)
      for (const old of [...pings.expire(now), ...demotions.retry(now)]) planner.changed(old)
      const request: RouteRequest = {
        model: "model",
        blocks: below(4) === 0 ? { from: 2, to: 6 } : { from: 0, to: 8 },
        tokens: 100,
        partial: below(4) === 0,
        exclude: below(3) === 0 ? [known[below(known.length)]?.peer ?? ""] : [],
        ...(below(6) === 0 ? { digest: `digest-p${below(names)}` } : {}),
        ...(last?._tag === "Route" && below(2) === 0 ? { previous: last.hops } : {})
      }
      const links = makeLinkTable()
      links.look(known)
      const trips = { client: pings.roundTrips, servers: links.servers }
      const expected = planRoute(request, { ...knowledge, trips, announcements: known, now })
      const plan = planner.plan(request, known, now)
      assert.deepEqual(essence(plan), essence(expected))
      last = plan
      if (plan._tag === "NoRoute") found.holes++
      else {
        found.routes++
        const isLinked = plan.hops.some(({ peer }, index) =>
          links.servers.get(peer)?.has(plan.hops[index - 1]?.peer ?? "")
        )
        if (isLinked) found.linked++
      }
    }
    assert.isAbove(found.routes, 2000)
    assert.isAbove(found.holes, 500)
    assert.isAbove(found.linked, 300)
  })
})
