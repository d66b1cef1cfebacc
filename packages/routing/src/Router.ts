/**
 * Chooses the chain of servers.
 * @module
 */
import type { BlockRange } from "@swarm/protocol"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import type * as Effect from "effect/Effect"

/** One server of a chain and the blocks that it runs. */
export interface Hop {
  /** Id of the server. Whoever answers at `address` under another one is not it. */
  readonly peer: string
  readonly address: string
  readonly blocks: BlockRange
  readonly digest: string
}

/** What a chain is wanted for. */
export interface RouteRequest {
  readonly model: string
  /** The blocks to cover: [0, L) for a new session, a dead hop's blocks for a repair. */
  readonly blocks: BlockRange
  /** KV tokens that the session needs at each hop. */
  readonly tokens: number
  /** Peers not to use, beyond those banned. Never used, whatever happens. */
  readonly exclude?: ReadonlyArray<string>
  /**
   * A replacement with this digest continues to the bit: one that serves exactly `blocks` is preferred above any
   * latency.
   */
  readonly digest?: string
  /**
   * Whether a chain may use any part of a span. Servers of this version open sessions for their whole span only, so
   * this is for planning, and for servers of your own. @default false
   */
  readonly partial?: boolean
  /** Bytes on the wire of one step, for the transfer time over slow lines. @default 0 */
  readonly bytes?: number
  /**
   * The chain of the session before: kept while it is nearly the best, since its servers may still have the prefix in
   * their caches.
   */
  readonly previous?: ReadonlyArray<Hop>
  /** `latency`: least time per token (decode). `throughput`: random by rate (training, prefill). @default "latency" */
  readonly goal?: "latency" | "throughput"
}

/** What happened with a peer; feeds bans and measurements. */
export type Outcome =
  /** It answered well: its failures are forgotten. */
  | { readonly _tag: "Ok" }
  /** It is gone, too slow or wrong: out of the graph at once, for longer each time. */
  | { readonly _tag: "Failed"; readonly detail: string }
  /** It has no room: out for `retryAfter` seconds, at most five minutes. */
  | { readonly _tag: "Busy"; readonly retryAfter: number }
  /** A round trip between this client and the peer, in seconds, as it was measured: the router smooths it. */
  | { readonly _tag: "RoundTrip"; readonly seconds: number }
  /** The line to the peer carried so many bytes per second, as it was measured: the router smooths it. */
  | { readonly _tag: "Bandwidth"; readonly bytesPerSecond: number }
  /**
   * One token took so many seconds at the peer, queue included, way not: whoever is much slower than announced is
   * demoted.
   */
  | { readonly _tag: "Step"; readonly seconds: number }

/** A peer that could serve some of the blocks and was not considered. */
export interface LeftOut {
  readonly peer: string
  readonly reason: string
  /** When it would be considered again, in seconds; 0 where waiting does not help. */
  readonly seconds: number
}

/** Nobody (who is not banned) serves these blocks. *Later*: a server may come, or the ban of one may end. */
export class NoRoute extends Data.TaggedError("NoRoute")<{
  readonly model: string
  /**
   * The ranges that nobody serves; where all are served but no chain of whole spans fits, the narrowest range that
   * would join one.
   */
  readonly missing: ReadonlyArray<BlockRange>
  /** Peers left out and why, for people; at most 32, those that come back first. */
  readonly banned: ReadonlyArray<LeftOut>
}> {
  override get message(): string {
    const blocks = this.missing.map((range) => `${range.from}:${range.to}`).join(", ")
    const reasons = this.banned.slice(0, 3).map(({ peer, reason }) => `${peer} ${reason}`)
    return `No server for blocks ${blocks}${reasons.length === 0 ? "" : ` (left out: ${reasons.join("; ")})`}`
  }
}

/** Routing as others see it. */
export interface Service {
  /**
   * The best chain that covers `blocks` exactly with whole spans of servers. Reads discovery's `known`; never waits for
   * the network.
   */
  readonly route: (request: RouteRequest) => Effect.Effect<ReadonlyArray<Hop>, NoRoute>
  /** Says what happened with a peer. Never fails, never waits. */
  readonly report: (peer: string, outcome: Outcome) => Effect.Effect<void>
}

/** The service that chooses the chain of servers. */
export class Router extends Context.Tag("@swarm/routing/Router")<Router, Service>() {}
