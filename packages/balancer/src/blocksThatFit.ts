/**
 * How many blocks a machine can hold.
 * @module
 */

/** What a block takes, and what there is. All in bytes. */
export interface Room {
  readonly memory: number
  /** Set aside for what is not per block: the runtime, activations. */
  readonly reserved: number
  /** Weights of one block, in the precision that this machine uses. */
  readonly weights: number
  /** KV caches of one block, of all sessions that are planned for. */
  readonly cache: number
  /** Adapters of one block. @default {0} */
  readonly adapters?: number
}

/**
 * Whole blocks that fit, at most `blocks`; 0 if none does.
 * @see `server/server.py` of Petals 2, `_choose_num_blocks`
 */
export const blocksThatFit = ({ memory, reserved, weights, cache, adapters = 0 }: Room, blocks: number): number => {
  const each = weights + cache + adapters
  if (!(each > 0)) throw new RangeError(`A block takes memory, not ${each} bytes`)
  return Math.max(0, Math.min(blocks, Math.floor((memory - reserved) / each)))
}
