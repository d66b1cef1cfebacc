/**
 * The ranges of blocks that one `swarm serve` process serves, and where each listens.
 * @module
 */
import type { BlockRange } from "@swarm/protocol"
import * as Effect from "effect/Effect"
import { UsageError } from "./args.ts"

/** "auto", or "0:10,20:30" as ranges within [0, blocks). */
export const rangesOf = (
  said: string,
  blocks: number
): Effect.Effect<ReadonlyArray<BlockRange | "auto">, UsageError> => {
  if (said === "auto") return Effect.succeed(["auto"])
  const ranges: Array<BlockRange> = []
  for (const part of said.split(",")) {
    const match = /^(\d+):(\d+)$/.exec(part.trim())
    const [from, to] = [Number(match?.[1]), Number(match?.[2])]
    if (match === null || from >= to || to > blocks) {
      return Effect.fail(new UsageError(`--blocks must be "auto" or ranges A:B with A < B <= ${blocks}: got "${said}"`))
    }
    ranges.push({ from, to })
  }
  return Effect.succeed(ranges)
}

/** Where the range at `index` listens: the first at the port given, each further one at the next; port 0 is always free. */
export const listenAt = (listen: string, index: number): string =>
  listen.replace(/(:|\/tcp\/)(\d+)(\/?)$/, (said, before: string, port: string, end: string) =>
    Number(port) === 0 ? said : `${before}${Number(port) + index}${end}`
  )
