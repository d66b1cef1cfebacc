/**
 * What imagined servers say of themselves.
 * @module
 */
import type { Announcement } from "@swarm/protocol"

/**
 * The announcement of a server of blocks [from, to) of "some-model", online and idle: for discovery and routing without servers.
 *
 * @example
 * ```ts
 * import { announcement } from "@swarm/testing"
 *
 * console.log(announcement("a", 0, 8, { decodeRate: 500 }).addresses) // => [ 'ws://a.example:7000' ]
 * ```
 */
export const announcement = (
  peer: string,
  from: number,
  to: number,
  fields: Partial<Announcement> = {}
): Announcement => ({
  peer,
  addresses: [`ws://${peer}.example:7000`],
  model: "some-model",
  modelName: "Some model",
  modelBlocks: 24,
  blocks: { from, to },
  state: "online",
  decodeRate: 1000,
  prefillRate: 10_000,
  digest: "",
  freeTokens: 4096,
  maxTokens: 4096,
  sessions: 0,
  queue: 0,
  version: "0.1.0",
  timeToLive: 30,
  ...fields
})
