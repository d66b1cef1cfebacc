/**
 * Announcements for tests.
 * @module
 */
import type { Announcement } from "@swarm/protocol"

export const server = (peer: string, from: number, to: number, fields: Partial<Announcement> = {}): Announcement => ({
  peer,
  addresses: [`ws://${peer}.test:4000`],
  model: "m",
  modelName: "model",
  modelBlocks: 80,
  blocks: { from, to },
  state: "online",
  decodeRate: 1000,
  prefillRate: 10_000,
  digest: `digest-${peer}`,
  freeTokens: 4096,
  maxTokens: 4096,
  sessions: 0,
  queue: 0,
  version: "0.1.0",
  timeToLive: 30,
  ...fields
})

/** Uniform numbers in [0, 1) by the generator of Park and Miller. */
export const seeded = (seed: number): (() => number) => {
  let state = seed
  return () => {
    state = (state * 48271) % 2147483647
    return (state - 1) / 2147483646
  }
}
