/**
 * What happens to a chain, for people and programs that watch.
 * @module
 */
import type { BlockRange } from "@swarm/protocol"
import type { Hop } from "@swarm/routing"

export type ChainEvent =
  /** The chain is open. */
  | { readonly _tag: "Opened"; readonly hops: ReadonlyArray<Hop> }
  /** A hop is lost, or the chain does not move. */
  | {
      readonly _tag: "FailureSeen"
      readonly peer: string
      readonly blocks: BlockRange
      readonly reason: string
      readonly position: number
    }
  /** Nobody serves these blocks now; servers are awaited for `graceSeconds`. */
  | { readonly _tag: "Waiting"; readonly missing: ReadonlyArray<BlockRange>; readonly graceSeconds: number }
  /** `exact`: the replacement computes to the bit what the lost hop did. */
  | {
      readonly _tag: "ReplacementChosen"
      readonly hops: ReadonlyArray<Hop>
      readonly exact: boolean
      readonly milliseconds: number
    }
  /** The journals were sent: `tokens` rows in all. */
  | { readonly _tag: "Replayed"; readonly tokens: number; readonly milliseconds: number }
  /** The step went on. `pauseMilliseconds`: from the failure to the next output. */
  | { readonly _tag: "Resumed"; readonly pauseMilliseconds: number; readonly exact: boolean }
