/**
 * How long each server of a chain takes for a token, as far as the client can see it.
 * @module
 */

/** What is needed of a hop. */
export interface PacedHop {
  readonly hop: { readonly peer: string }
  readonly connection: { readonly roundTrip: () => number | undefined }
}

/** Times the steps of one chain. `now` is in seconds. */
export interface Pace {
  /** One token is sent through `hops`. */
  readonly started: (hops: ReadonlyArray<PacedHop>, now: number) => void
  /** A copy of what hop `index` made of it has come. */
  readonly copied: (index: number, now: number) => void
  /** The output has come. */
  readonly ended: (now: number) => void
  /** The step is not to be counted. */
  readonly dropped: () => void
}

/** Steps of which the mean is told. */
const STEPS = 8

/** A server keeps its copies for no longer than this. */
const SWEEP_SECONDS = 0.05

/**
 * Makes the clock of a chain. A hop's time is that from the copy (or output) of the one before to its own, less the copy's delay, less the round trip to
 * it: by the triangle inequality the way from hop to hop and back here is no longer. So what `tell` gets is the least that the compute can
 * have taken: who is far away is not called slow, and who is quick is seen as quicker than it is.
 */
export const makePace = (tell: (peer: string, seconds: number) => void): Pace => {
  const totals = new Map<string, { seconds: number; steps: number }>()
  let hops: ReadonlyArray<PacedHop> = []
  let stamps: Array<number> = []

  const count = (peer: string, seconds: number): void => {
    const total = totals.get(peer) ?? { seconds: 0, steps: 0 }
    total.seconds += Math.max(seconds, 0)
    total.steps++
    totals.set(peer, total)
    if (total.steps < STEPS) return
    totals.delete(peer)
    tell(peer, total.seconds / STEPS)
  }

  return {
    started: (through, now) => {
      hops = through
      stamps = [now]
    },
    copied: (index, now) => {
      if (index < hops.length - 1) stamps[index + 1] ??= now
    },
    ended: (now) => {
      if (hops.length > 0) stamps[hops.length] = now
      for (const [index, { hop, connection }] of hops.entries()) {
        const [from, to] = [stamps[index], stamps[index + 1]]
        // copies come in bundles where steps are quick: then nothing is known of these hops
        if (from === undefined || to === undefined) continue
        const wait = index === hops.length - 1 ? 0 : SWEEP_SECONDS
        count(hop.peer, to - from - wait - (connection.roundTrip() ?? 0))
      }
      hops = []
    },
    dropped: () => {
      hops = []
    }
  }
}
