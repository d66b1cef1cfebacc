/**
 * Blocks and routes as the events of commands write them.
 * @module
 */
import type { BlockRange } from "@swarm/protocol"
import type { Hop } from "@swarm/routing"

export const blocksField = ({ from, to }: BlockRange): readonly [from: number, to: number] => [from, to]

export const routeField = (hops: ReadonlyArray<Pick<Hop, "peer" | "blocks">>) =>
  hops.map(({ peer, blocks }) => ({ peer, blocks: blocksField(blocks) }))
