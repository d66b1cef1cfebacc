/**
 * What one token costs on the cheapest chain through a placement, with delays between regions.
 * @module
 */
import { checkPlaced, type Placed } from "./Placement.ts"

/** Delays and speeds that chains are priced with. */
export interface Prices {
  /** One-way delay in seconds between two regions, or within one; "" is a server whose region is not known. */
  readonly delay: (from: string, to: string) => number
  /** Seconds of a token in one block of a server. @default {2 / ((n + 1) · rate): see placedOf} */
  readonly blockSeconds?: (server: Placed) => number
  /** Region of the client. */
  readonly client: string
  /** Fixed cost of a hop in seconds. @default {0.0005} */
  readonly overhead?: number
}

const used = ({ blocks: { from, to } }: Placed): number => (to - from + 1) / 2

/**
 * Seconds of one token through all blocks and back to the client; Infinity if a block has no server. A server may be entered and left at any
 * of its blocks. Exact for delays between regions: O(blocks · (servers + regions²)).
 */
export const chainSeconds = (placed: ReadonlyArray<Placed>, blocks: number, prices: Prices): number => {
  checkPlaced(placed, blocks)
  const { delay, client, overhead = 0.0005 } = prices
  const blockSeconds = prices.blockSeconds ?? ((server: Placed) => 1 / (server.rate * used(server)))
  const regions = [...new Set(placed.map(({ region = "" }) => region))]
  const regionOf = placed.map(({ region = "" }) => regions.indexOf(region))
  const seconds = placed.map(blockSeconds)
  /** Least time until all blocks before this one are done and the activations are at the server, or anywhere in the region. */
  const at = new Float64Array(placed.length).fill(Number.POSITIVE_INFINITY)
  let left = new Float64Array(regions.length).fill(Number.POSITIVE_INFINITY)
  for (let block = 0; block < blocks; block++) {
    const arrival = regions.map((to) => {
      if (block === 0) return delay(client, to)
      let least = Number.POSITIVE_INFINITY
      for (const [from, region] of regions.entries()) least = Math.min(least, left[from]! + delay(region, to))
      return least
    })
    left = new Float64Array(regions.length).fill(Number.POSITIVE_INFINITY)
    for (const [index, { blocks: span }] of placed.entries()) {
      if (block < span.from || block >= span.to) {
        at[index] = Number.POSITIVE_INFINITY
        continue
      }
      const region = regionOf[index]!
      at[index] = Math.min(at[index]!, arrival[region]! + overhead) + seconds[index]!
      if (at[index]! < left[region]!) left[region] = at[index]!
    }
  }
  return regions.reduce(
    (least, region, index) => Math.min(least, left[index]! + delay(region, client)),
    Number.POSITIVE_INFINITY
  )
}
