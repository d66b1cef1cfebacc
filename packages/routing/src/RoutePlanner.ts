/**
 * Plans that keep the graph of a request for the next one like it.
 * @module
 */
import type { Announcement } from "@swarm/protocol"
import { LiveRoute } from "./internal/LiveRoute.ts"
import { makeLinkTable } from "./links.ts"
import type { PlannerKnowledge, RoutePlan } from "./planRoute.ts"
import { checkRequest, planRoute } from "./planRoute.ts"
import type { RouteRequest } from "./Router.ts"

/** Graphs kept; the one used longest ago is dropped. */
const KEPT = 4

/** Models of more blocks than this are planned from scratch: a graph takes memory by the square of them. */
const MOST_BLOCKS = 512

/** The same decisions as `planRoute`, from graphs that are kept up to date. */
export interface RoutePlanner {
  /**
   * As `planRoute`. Announcements are told apart by identity: who changes one must replace the object. After the first
   * request of its kind (model, blocks, tokens, bytes): O(announcements) to see what is new, and little for each that
   * is.
   */
  readonly plan: (request: RouteRequest, announcements: Iterable<Announcement>, now: number) => RoutePlan
  /** Says that a ban, a round trip, the bandwidth or the slowdown of a peer is another now. */
  readonly changed: (peer: string) => void
}

/** Makes a planner without graphs. Links between servers are those that they announce, not those of `trips`. */
export const makeRoutePlanner = (given: PlannerKnowledge): RoutePlanner => {
  /** Used longest ago first. */
  const kept = new Map<string, LiveRoute>()
  const links = makeLinkTable((sender, receiver) => {
    for (const route of kept.values()) route.linkChanged(sender, receiver)
  })
  const knowledge = { ...given, trips: { ...given.trips, servers: links.servers } }

  const routeFor = (request: RouteRequest): LiveRoute => {
    const { model, blocks, tokens, bytes = 0, partial = false } = request
    const key = JSON.stringify([model, blocks.from, blocks.to, tokens, bytes, partial])
    const route = kept.get(key) ?? new LiveRoute({ model, blocks, tokens, bytes, partial }, knowledge)
    kept.delete(key)
    kept.set(key, route)
    if (kept.size > KEPT) for (const oldest of [...kept.keys()].slice(0, kept.size - KEPT)) kept.delete(oldest)
    return route
  }

  return {
    plan: (request, announcements, now) => {
      checkRequest(request)
      links.look(announcements)
      const { blocks, digest, goal } = request
      const isKept = goal !== "throughput" && (digest ?? "") === "" && blocks.to - blocks.from <= MOST_BLOCKS
      if (!isKept) return planRoute(request, { ...knowledge, announcements, now })
      return routeFor(request).plan(request, announcements, now)
    },
    changed: (peer) => {
      for (const route of kept.values()) route.changed(peer)
    }
  }
}
