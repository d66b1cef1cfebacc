/**
 * What to expect of an hour, from what was seen at that hour on earlier days.
 * @module
 */
import type { Placed } from "./Placement.ts"

/** @see makeForecast */
export interface ForecastOptions {
  /** Share of a new day in the mean of its hour; the days before fade by the rest. @default {0.3} */
  readonly weight?: number
  /** Names that are remembered; more are refused, the known ones go on. @default {16384} */
  readonly maxNames?: number
}

/** Means by name and hour of the day. Hours are counted from any midnight: `seconds / 3600`, whole days are 24. */
export interface Forecast {
  /** Adds what was seen of a name at an hour, such as a server's rate (0 while it was away) or a region's sessions. */
  readonly observe: (name: string, hour: number, value: number) => void
  /** The mean at this hour of the day; undefined if the name was never seen at it. */
  readonly expect: (name: string, hour: number) => number | undefined
}

const HOURS = 24

const slotOf = (hour: number): number => ((Math.floor(hour) % HOURS) + HOURS) % HOURS

/**
 * Makes an empty forecast. Several observations within one hour count as their mean.
 *
 * @example A server that is switched off at night
 * ```ts
 * import { makeForecast } from "@swarm/balancer"
 *
 * const forecast = makeForecast()
 * for (let day = 0; day < 5; day++) {
 *   forecast.observe("a", 24 * day + 20, 8)
 *   forecast.observe("a", 24 * day + 23, 0)
 * }
 * console.log(forecast.expect("a", 24 * 9 + 20), forecast.expect("a", 23)) // => 8 0
 * ```
 */
export const makeForecast = (options: ForecastOptions = {}): Forecast => {
  const { weight = 0.3, maxNames = 16_384 } = options
  if (!(weight > 0 && weight <= 1)) throw new RangeError(`The weight of a day is in (0, 1], not ${weight}`)
  /** For each name the means of the hours (NaN: never seen), and of each the hour that is under way with its sum and number. */
  const seen = new Map<string, { mean: Float64Array; hour: number; sum: number; count: number }>()

  const finish = (entry: { mean: Float64Array; hour: number; sum: number; count: number }): void => {
    if (entry.count === 0) return
    const slot = slotOf(entry.hour)
    const [old, fresh] = [entry.mean[slot]!, entry.sum / entry.count]
    entry.mean[slot] = Number.isNaN(old) ? fresh : old + weight * (fresh - old)
    entry.count = 0
    entry.sum = 0
  }

  const expect = (name: string, hour: number): number | undefined => {
    const entry = seen.get(name)
    if (entry === undefined) return undefined
    const slot = slotOf(hour)
    const old = entry.mean[slot]!
    if (entry.count === 0 || slotOf(entry.hour) !== slot) return Number.isNaN(old) ? undefined : old
    const fresh = entry.sum / entry.count
    return Number.isNaN(old) ? fresh : old + weight * (fresh - old)
  }

  return {
    observe: (name, hour, value) => {
      if (!Number.isFinite(hour) || !Number.isFinite(value))
        throw new RangeError(`Cannot note ${value} at hour ${hour}`)
      const whole = Math.floor(hour)
      let entry = seen.get(name)
      if (entry === undefined) {
        if (seen.size >= maxNames) return
        entry = { mean: new Float64Array(HOURS).fill(Number.NaN), hour: whole, sum: 0, count: 0 }
        seen.set(name, entry)
      }
      if (whole !== entry.hour) finish(entry)
      entry.hour = whole
      entry.sum += value
      entry.count++
    },
    expect
  }
}

/**
 * The servers at their mean rates over now and the next hours: who leaves at night counts for less in the evening. Hours at which a
 * server was never seen count as now. Give the result to `joinBlocks`, `rebalance` or `improve`.
 */
export const expected = (
  placed: ReadonlyArray<Placed>,
  forecast: Forecast,
  hour: number,
  hours: number
): ReadonlyArray<Placed> =>
  placed.map((server) => {
    let sum = server.rate
    for (let ahead = 1; ahead <= hours; ahead++) sum += forecast.expect(server.peer, hour + ahead) ?? server.rate
    return { ...server, rate: sum / (hours + 1) }
  })
