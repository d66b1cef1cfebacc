/**
 * How a broken chain is made whole: what each hop forgets, what it is fed from the journals, what it sends on.
 *
 * The algorithm behind PETALS' dual cache (arXiv 2312.08361, Algorithm 1), stated over positions: the client holds the
 * inputs of each hop up to `journaled`, each hop holds `computed` tokens. Nothing else is needed to bring all hops to
 * the same position, whatever was lost: hops, messages, or copies.
 * @module
 */

/** Where one hop stands. A fresh replacement has computed 0. */
export interface HopState {
  /** Tokens in the hop's KV cache. */
  readonly computed: number
  /** Tokens of the hop's inputs that the client's journal holds. */
  readonly journaled: number
}

/** What one hop is told. */
export interface HopRepair {
  /** Tokens to keep; beyond them the hop forgets, to compute them again. */
  readonly keep: number
  /** Input rows [keep, feedTo) come from the client's journal; empty if not below. */
  readonly feedTo: number
  /** Output rows from here on go to the next hop (to the client: to be received). */
  readonly sendFrom: number
  /** Output rows from here on are copied to the client; -1 for the last hop. */
  readonly journalFrom: number
}

/**
 * @param received tokens whose outputs the client has from the last hop
 * @returns for each hop, in order. After it hop j gets every input row from its `keep` on exactly once: rows before
 * `journaled[j]` from the client, the others from hop j-1.
 */
export const planRepair = (hops: ReadonlyArray<HopState>, received: number): ReadonlyArray<HopRepair> => {
  const repairs: Array<HopRepair> = []
  for (let index = hops.length - 1; index >= 0; index--) {
    const { computed, journaled } = hops[index] as HopState
    const next = hops[index + 1]
    const nextKeeps = repairs[0]?.keep
    if (next === undefined || nextKeeps === undefined) {
      const keep = Math.min(computed, received)
      repairs.unshift({ keep, feedTo: journaled, sendFrom: received, journalFrom: -1 })
    } else {
      // what the next hop misses beyond its journal only this hop can give, and must compute if it had done so before
      const journalFrom = next.journaled
      const keep = Math.min(computed, journalFrom)
      repairs.unshift({ keep, feedTo: journaled, sendFrom: Math.max(nextKeeps, journalFrom), journalFrom })
    }
  }
  return repairs
}
