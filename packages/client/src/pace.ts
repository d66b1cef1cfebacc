/**
 * How long each server of a chain takes for a token, as far as the client can see it.
 * @module
 */

/** What is needed of a hop. */
interface PacedHop {
  readonly hop: { readonly peer: string }
  readonly connection: { readonly roundTrip: () => number | undefined }
}

/** Times the steps of one chain. `now` is in seconds. */
export interface Pace {
  /** The token at `position` is sent through `hops`. */
  readonly started: (hops: ReadonlyArray<PacedHop>, position: number, now: number) => void
  /** A copy of what hop `index` made of the tokens up to `position` has come. */
  readonly copied: (index: number, position: number, now: number) => void
  /** The output has come. */
  readonly ended: (now: number) => void
  /** The step is not to be counted. */
  readonly dropped: () => void
}

/** Steps of which the mean is told. */
const STEPS = 4

/** A server keeps its copies for no longer than this. */
const SWEEP_SECONDS = 0.05

interface Step {
  readonly hops: ReadonlyArray<PacedHop>
  readonly position: number
  /** When it was sent, then when each hop was seen to be done. */
  readonly stamps: Array<number>
}

/**
 * Makes the clock of a chain. A hop's time is that from the copy (or output) of the one before to its own, less the
 * copy's delay, less the round trip to it: by the triangle inequality the way from hop to hop and back here is no
 * longer. So what `tell` gets is the least that the compute can have taken: who is far away is not called slow, and who
 * is quick is seen as quicker than it is.
 */
export const makePace = (tell: (peer: string, seconds: number) => void): Pace => {
  const totals = new Map<string, { seconds: number; steps: number }>()
  let running: Step | undefined
  /** The step before waits for copies that its output overtook. */
  let ended: Step | undefined

  const count = (peer: string, seconds: number): void => {
    const total = totals.get(peer) ?? { seconds: 0, steps: 0 }
    total.seconds += Math.max(seconds, 0)
    total.steps++
    totals.set(peer, total)
    if (total.steps < STEPS) return
    totals.delete(peer)
    tell(peer, total.seconds / STEPS)
  }

  const countAll = ({ hops, stamps }: Step): void => {
    for (const [index, { hop, connection }] of hops.entries()) {
      const [from, to] = [stamps[index], stamps[index + 1]]
      // copies come in bundles where steps are quick: then nothing is known of these hops
      if (from === undefined || to === undefined) continue
      const wait = index === hops.length - 1 ? 0 : SWEEP_SECONDS
      count(hop.peer, to - from - wait - (connection.roundTrip() ?? 0))
    }
  }

  return {
    started: (hops, position, now) => {
      running = { hops, position, stamps: [now] }
    },
    copied: (index, position, now) => {
      for (const step of [running, ended]) {
        if (step?.position !== position || index >= step.hops.length - 1) continue
        const end = step.stamps[step.hops.length] ?? Number.POSITIVE_INFINITY
        // overtaken by no more than the wait that is taken off
        if (now <= end + SWEEP_SECONDS) step.stamps[index + 1] ??= Math.min(now, end)
      }
    },
    ended: (now) => {
      if (ended !== undefined) countAll(ended)
      ended = running
      running = undefined
      if (ended !== undefined) ended.stamps[ended.hops.length] = now
    },
    dropped: () => {
      running = undefined
    }
  }
}
