/**
 * A link with the faults of a real one, around any transport: latency, jitter, bandwidth, stalls, loss, partitions.
 * @module
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { DelayLine, type Timing } from "./internal/DelayLine.ts"
import { emulatedChannel } from "./internal/emulatedChannel.ts"
import { makeRandom } from "./internal/random.ts"
import { type Channel, type Service, Transport } from "./Transport.ts"
import { DialError } from "./TransportError.ts"

export interface LinkOptions {
  /** Time from one end to the other. @default 0 */
  readonly latency?: Duration.DurationInput
  /** At most this is added to the latency, uniformly; order is kept. @default 0 */
  readonly jitter?: Duration.DurationInput
  /** Bytes per second of each channel and direction; messages queue for it. @default Infinity */
  readonly bandwidth?: number
  /** Nothing leaves for `duration`, again and again, with `every` between two stalls in the mean (exponential). */
  readonly stall?: { readonly every: Duration.DurationInput; readonly duration: Duration.DurationInput }
  /**
   * Probability that a message is lost, or a function of each message (borrowed) that gives it. The channel breaks then,
   * as an ordered one must; see `lossy`. @default 0
   */
  readonly loss?: number | ((message: Uint8Array) => number)
  /** Lost messages vanish and the channel stays: what no carrier here does, for tests of what is above. @default false */
  readonly lossy?: boolean
  /** Probability that a dial is refused. @default 0 */
  readonly refusal?: number
  /** Of the random numbers: the same seed and the same order of events give the same faults. @default 1 */
  readonly seed?: number
}

/** A link that can be changed while it runs; make one, keep it, and give it to {@link emulated}. */
export interface Link {
  /**
   * Cuts an address off: what is sent to or from it waits, as behind a broken cable, and dials to it fail at once with
   * reason `timeout`. Counts for channels dialled to that address and for those that its listener accepted.
   */
  readonly cut: (address: string) => void
  /** Joins an address, or all, again: what waited arrives. */
  readonly heal: (address?: string) => void
  /** Breaks every channel of the address with reason `lost`, as a killed peer does. Dials are not affected. */
  readonly sever: (address: string) => void
  /** Wraps a service; {@link emulated} for layers. */
  readonly wrap: (inner: Service) => Service
}

/**
 * Makes a link. Each end delays what it sends: both ends behind the same link see both directions delayed; if only one
 * end is, only what it sends is. Delays have the resolution of timers, 1 ms; an option that is not given costs no timer.
 *
 * @throws RangeError if a probability is not within 0 to 1, or the bandwidth not above 0
 */
export const makeLink = (options: LinkOptions = {}): Link => {
  const lossOf = typeof options.loss === "function" ? options.loss : constant(probability("loss", options.loss))
  const refusal = probability("refusal", options.refusal)
  const bandwidth = options.bandwidth ?? Number.POSITIVE_INFINITY
  if (!(bandwidth > 0)) throw new RangeError(`Cannot emulate a link with a bandwidth of ${bandwidth} bytes per second`)
  const random = makeRandom(options.seed ?? 1)
  const timing: Timing = {
    latency: Duration.toMillis(options.latency ?? 0),
    jitter: Duration.toMillis(options.jitter ?? 0),
    bytesPerMilli: bandwidth / 1000,
    stallEvery: options.stall === undefined ? 0 : Duration.toMillis(options.stall.every),
    stallFor: options.stall === undefined ? 0 : Duration.toMillis(options.stall.duration),
    random
  }
  const breaks = new Map<string, Set<() => void>>()
  const cuts = new Set<string>()
  const lines = new Map<string, Set<DelayLine>>()

  const wrapChannel = (inner: Channel, address: string): Channel => {
    const line = new DelayLine(timing, inner, () => cuts.has(address))
    const { channel, breakOff } = emulatedChannel({
      inner,
      line,
      losing: (message) => {
        const loss = lossOf(message)
        return loss > 0 && random() < loss
      },
      lossy: options.lossy === true
    })
    const forgetLine = member(lines, address, line)
    const forgetBreak = member(breaks, address, breakOff)
    channel.closed.then(() => {
      forgetBreak()
      line.whenDone(forgetLine)
    })
    return channel
  }

  const heal = (address: string): void => {
    cuts.delete(address)
    for (const line of [...(lines.get(address) ?? [])]) line.wake()
  }

  return {
    cut: (address) => void cuts.add(address),
    heal: (address) => {
      for (const each of address === undefined ? [...cuts] : [address]) heal(each)
    },
    sever: (address) => {
      for (const breakOff of [...(breaks.get(address) ?? [])]) breakOff()
    },
    wrap: (inner) => ({
      dial: (address) =>
        Effect.suspend(() => {
          const fail = (reason: DialError["reason"], detail: string) =>
            Effect.fail(new DialError({ address, reason, detail }))
          if (cuts.has(address)) return fail("timeout", "the emulated link is cut")
          if (refusal > 0 && random() < refusal) return fail("refused", "the emulated link refuses")
          return Effect.map(inner.dial(address), (channel) => wrapChannel(channel, address))
        }),
      listen: (address, onChannel) =>
        Effect.suspend(() => {
          // channels come in only after the address is known
          let bound = address
          return Effect.tap(
            inner.listen(address, (channel) => onChannel(wrapChannel(channel, bound))),
            (at) => {
              bound = at
              return Effect.void
            }
          )
        })
    })
  }
}

/**
 * The transport below, seen through `link`.
 *
 * @example Twenty milliseconds and a partition
 * ```ts
 * import { emulated, layerMemory, makeLink } from "@swarm/transport"
 *
 * const link = makeLink({ latency: "20 millis", jitter: "5 millis", bandwidth: 12.5e6, seed: 7 })
 * const layer = layerMemory.pipe(emulated(link))
 * link.cut("memory:b")
 * link.heal()
 * ```
 */
export const emulated =
  (link: Link) =>
  <E, R>(inner: Layer.Layer<Transport, E, R>): Layer.Layer<Transport, E, R> =>
    Layer.effect(Transport, Effect.map(Transport, link.wrap)).pipe(Layer.provide(inner))

const constant = (value: number) => () => value

const probability = (name: string, value = 0): number => {
  if (!(value >= 0 && value <= 1)) throw new RangeError(`Cannot emulate a ${name} of ${value}: a probability is 0 to 1`)
  return value
}

/** Adds to the set of `key`; the returned function takes it out again. */
const member = <A>(sets: Map<string, Set<A>>, key: string, value: A): (() => void) => {
  const set = sets.get(key) ?? new Set()
  sets.set(key, set.add(value))
  return () => {
    set.delete(value)
    if (set.size === 0) sets.delete(key)
  }
}
