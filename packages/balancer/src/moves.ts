/**
 * Moves of servers, in an order that never leaves a block to nobody.
 * @module
 */
import type { BlockRange } from "@swarm/protocol"
import { blockHolders, type Placed } from "./Placement.ts"

/** One server's move. */
export interface Move {
  readonly peer: string
  readonly from: BlockRange
  readonly to: BlockRange
}

const count = (holders: Uint32Array, { from, to }: BlockRange, by: number): void => {
  for (let block = from; block < to; block++) holders[block]! += by
}

/** Whether each block of `from` has somebody else, or is in `to`. */
const isSafe = (holders: Uint32Array, { from, to }: Move): boolean => {
  for (let block = from.from; block < from.to; block++) {
    if (holders[block]! < 2 && !(to.from <= block && block < to.to)) return false
  }
  return true
}

/**
 * Orders `moves` so that, one after the other, no block that somebody holds is left to nobody. Moves for which there is no such
 * order are left out. O(moves² · blocks of a server).
 *
 * A move counts as done when the new blocks are served; a server that can load them beside the old ones (see the live migration of
 * `@swarm/server`) leaves no gap even within a move.
 */
export const orderMoves = (
  placed: ReadonlyArray<Placed>,
  blocks: number,
  moves: ReadonlyArray<Move>
): ReadonlyArray<Move> => {
  const holders = blockHolders(placed, blocks)
  const ordered: Array<Move> = []
  let open = moves
  for (;;) {
    const next = open.find((move) => isSafe(holders, move))
    if (next === undefined) return ordered
    count(holders, next.from, -1)
    count(holders, next.to, 1)
    ordered.push(next)
    open = open.filter((move) => move !== next)
  }
}
