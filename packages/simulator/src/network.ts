/**
 * Delays of the simulated network.
 * @module
 */
import type { LinkSpec, Scenario } from "./Scenario.ts"

/** One-way time of a message in seconds. */
export interface Network {
  /** @param mbps the slower of the two ends' own lines */
  readonly seconds: (from: string, to: string, bytes: number, mbps: number) => number
}

/** Makes the network that a scenario describes. */
export const makeNetwork = ({
  network: { within, between = within, pairs = {} }
}: Pick<Scenario, "network">): Network => {
  const linkOf = (from: string, to: string): LinkSpec =>
    pairs[from <= to ? `${from} ${to}` : `${to} ${from}`] ?? (from === to ? within : between)
  return {
    seconds: (from, to, bytes, mbps) => {
      const { rttMs, mbps: line = 1000 } = linkOf(from, to)
      return rttMs / 2000 + (8 * bytes) / (1e6 * Math.min(line, mbps))
    }
  }
}
