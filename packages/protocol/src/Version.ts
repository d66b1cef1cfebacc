/**
 * Versions of the protocol and how two peers agree on one.
 * @module
 */

/** Versions that this library speaks, newest first. From 2 on, peers prove who they are and announcements are signed. */
export const PROTOCOL_VERSIONS: ReadonlyArray<number> = [2]

/**
 * The newest version that both speak, or undefined if there is none.
 *
 * @example
 * ```ts
 * import { negotiate } from "@swarm/protocol"
 *
 * negotiate([3, 2, 1], [2, 1, 7]) // => 2
 * negotiate([1], [9]) // => undefined
 * ```
 */
export const negotiate = (ours: ReadonlyArray<number>, theirs: ReadonlyArray<number>): number | undefined => {
  let best: number | undefined
  for (const version of ours) {
    if (theirs.includes(version) && (best === undefined || version > best)) best = version
  }
  return best
}
