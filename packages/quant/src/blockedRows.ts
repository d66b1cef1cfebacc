/**
 * Some input features of a layer with groups, laid out so that no block of the kernel mixes two groups.
 * @module
 */
import { type GroupedCodes, groupOf, PADDING } from "./GroupedCodes.ts"

/** Features in blocks. */
export interface BlockedRows {
  /** Positions in the given list, group by group; `PADDING` where a block has no more of its group. */
  readonly positions: Uint32Array
  readonly blockSize: number
}

/** The kernel's blocks, the fastest first. */
const BLOCKS = [128, 64, 32, 16]
/** How much longer the list may become for a larger block. */
const TOLERABLE = 1.25

/**
 * Lays out `rows`, any features of the layer in any order. Features of one group come together, in their order, and fill
 * whole blocks: without padding where each group's number of them is a multiple of 16, as in a slice of the act-order;
 * else with weights of zero, which change no result. O(rows).
 */
export const blockedRows = (linear: Pick<GroupedCodes, "groupIndex" | "groupSize">, rows: Uint32Array): BlockedRows => {
  const groups = new Map<number, Array<number>>()
  rows.forEach((row, position) => {
    const group = groupOf(linear, row)
    const members = groups.get(group)
    if (members === undefined) groups.set(group, [position])
    else members.push(position)
  })
  const sorted = [...groups].sort(([a], [b]) => a - b).map(([, members]) => members)
  const padded = (size: number) => sorted.reduce((sum, { length }) => sum + Math.ceil(length / size) * size, 0)
  const least = Math.min(...BLOCKS.map(padded))
  const blockSize =
    // a single group has no edge for blocks to respect, and the kernel takes a short last block
    sorted.length === 1
      ? (BLOCKS.find((size) => size <= rows.length) ?? 16)
      : (BLOCKS.find((size) => padded(size) <= (least === rows.length ? least : least * TOLERABLE)) ?? 16)
  if (sorted.length === 1) return { positions: Uint32Array.from(sorted[0] ?? []), blockSize }
  const positions = new Uint32Array(padded(blockSize)).fill(PADDING)
  let at = 0
  for (const members of sorted) {
    positions.set(members, at)
    at += Math.ceil(members.length / blockSize) * blockSize
  }
  return { positions, blockSize }
}
