/**
 * Who serves which blocks.
 * @module
 */
import type { Announcement } from "@swarm/protocol"
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { DiscoveryError } from "./DiscoveryError.ts"
import type { Heard } from "./Heard.ts"
import type { Refusals } from "./Refusals.ts"

/** Discovery as servers and clients see it. */
export interface Service {
  /**
   * Tells the swarm of this server, now and again before the announcement expires, until `withdraw`. Replaces the former one.
   * Returns after the first attempt, successful or not. Never fails: unreachable directories are tried again.
   */
  readonly announce: (announcement: Announcement) => Effect.Effect<void>
  /** Stops announcing and says goodbye (`offline`), so that nobody goes there any more. */
  readonly withdraw: Effect.Effect<void>
  /** Every live announcement of others known now, goodbyes left out, with the time to live that is left; cheap, from memory, in no order. */
  readonly known: () => ReadonlyArray<Announcement>
  /** What `known` is made of, signed, for a directory to pass on. Absent: nothing is passed on. */
  readonly heard?: () => ReadonlyArray<Heard>
  /** Announcements that were refused since the start. Absent: nobody counts. */
  readonly refused?: () => Refusals
  /** Asks the directories now. `known` has the answers after it. Succeeds if at least one answered or something is still known. */
  readonly refresh: Effect.Effect<void, DiscoveryError>
}

/** The service that knows who serves which blocks. */
export class Discovery extends Context.Tag("@swarm/discovery/Discovery")<Discovery, Service>() {}
