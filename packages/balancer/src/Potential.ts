/**
 * A placement that can be improved step by step: how far it is from even, and each server's best place.
 * @module
 */
import type { BlockRange } from "@swarm/protocol"
import { blockRates, lengthOf, type Placed } from "./Placement.ts"

/**
 * Starts of all servers, the rates that follow, and the smooth measure `Σ exp(-rate / temperature)`. The lower the temperature,
 * the more it speaks of the worst blocks alone; the higher, the more of the way to get there. What each block weighs is kept with its rate.
 */
export class Potential {
  readonly blocks: number
  /** First block of each server: u32 (servers). */
  readonly starts: Uint32Array
  readonly lengths: Uint32Array
  readonly speeds: Float64Array
  readonly rates: Float64Array
  readonly #weight: Float64Array
  #temperature = 1

  constructor(placed: ReadonlyArray<Placed>, blocks: number) {
    this.blocks = blocks
    this.rates = blockRates(placed, blocks)
    this.starts = Uint32Array.from(placed, ({ blocks: { from } }) => from)
    this.lengths = Uint32Array.from(placed, ({ blocks: span }) => lengthOf(span))
    this.speeds = Float64Array.from(placed, ({ rate }) => rate)
    this.#weight = new Float64Array(blocks)
    this.cool(1)
  }

  /** Sets the temperature, in tokens per second. */
  cool(temperature: number): void {
    this.#temperature = temperature
    for (let block = 0; block < this.blocks; block++) this.#weight[block] = Math.exp(-this.rates[block]! / temperature)
  }

  range(server: number): BlockRange {
    return { from: this.starts[server]!, to: this.starts[server]! + this.lengths[server]! }
  }

  /** Moves a server. O(its blocks). */
  move(server: number, start: number): void {
    this.#add(this.starts[server]!, this.lengths[server]!, -this.speeds[server]!)
    this.starts[server] = start
    this.#add(start, this.lengths[server]!, this.speeds[server]!)
  }

  #add(from: number, length: number, rate: number): void {
    const factor = Math.exp(-rate / this.#temperature)
    for (let block = from; block < from + length; block++) {
      this.rates[block]! += rate
      this.#weight[block]! *= factor
    }
  }

  /**
   * The place at which a server lowers the measure most; its own unless another is better by more than rounding. A server lowers a
   * block's weight by the same factor wherever it is, so the heaviest window without it is best. O(blocks).
   */
  bestStart(server: number): number {
    const length = this.lengths[server]!
    const own = this.starts[server]!
    const factor = Math.exp(this.speeds[server]! / this.#temperature)
    const weight = (block: number): number =>
      own <= block && block < own + length ? this.#weight[block]! * factor : this.#weight[block]!
    let sum = 0
    for (let block = 0; block < length; block++) sum += weight(block)
    let best = 0
    let most = sum
    let ownSum = own === 0 ? sum : 0
    for (let from = 1; from + length <= this.blocks; from++) {
      sum += weight(from + length - 1) - weight(from - 1)
      if (from === own) ownSum = sum
      if (sum > most) {
        most = sum
        best = from
      }
    }
    return most > ownSum * (1 + 1e-9) ? best : own
  }
}
