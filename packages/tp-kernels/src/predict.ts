/**
 * What a collective will send and how long it will take, from its schedules alone.
 * @module
 */
import { codec, type WireCodec } from "@swarm/quant"
import type { Traffic } from "./Communicator.ts"
import type { Link } from "./memoryChannels.ts"
import type { Schedule, Transfer } from "./schedule.ts"

/** Payload bytes of a message. */
const payload = ({ ranges }: Transfer, name: WireCodec): number =>
  ranges.reduce((bytes, { from, to }) => bytes + codec(name).bytes(to - from), 0)

/** What the communicator of a rank will have counted, exactly (if the codec holds all values). */
export const predictTraffic = (schedule: Schedule, name: WireCodec = "f32"): Traffic => {
  const sends = schedule.flatMap((step) => step.sends)
  return {
    bytes: sends.reduce((bytes, transfer) => bytes + payload(transfer, name), 0),
    messages: sends.length,
    steps: schedule.length
  }
}

/** Costs beside those of the links. */
export interface TimeOptions {
  /** @default {"f32"} */
  readonly codec?: WireCodec
  /** γ: seconds to add one value to another. @default {0} */
  readonly secondsPerSum?: number
  /** Bytes that a carrier puts before each payload. @default {0} */
  readonly headerBytes?: number
}

/**
 * Seconds until the last rank has done its rounds, all beginning at once: α-β-γ costs with one sending and one receiving
 * port per rank, as `emulatedChannels` has them. `schedules[r]` is that of rank r.
 *
 * Throws `RangeError` if the schedules do not belong together. O(messages).
 */
export const predictTime = (
  schedules: ReadonlyArray<Schedule>,
  link: (from: number, to: number) => Link,
  options: TimeOptions = {}
): number => {
  const { codec: name = "f32", secondsPerSum = 0, headerBytes = 0 } = options
  const clocks = new Float64Array(schedules.length)
  const ports = new Float64Array(schedules.length)
  const rounds = schedules.map((schedule) => schedule.length).reduce((a, b) => Math.max(a, b), 0)
  for (let round = 0; round < rounds; round++) {
    const arrivals = new Map<string, number>()
    schedules.forEach((schedule, rank) => {
      for (const transfer of schedule[round]?.sends ?? []) {
        const { latency, secondsPerByte } = link(rank, transfer.peer)
        const bytes = payload(transfer, name) + headerBytes
        ports[rank] = Math.max(clocks[rank] ?? 0, ports[rank] ?? 0) + bytes * secondsPerByte
        arrivals.set(`${rank} ${transfer.peer}`, (ports[rank] ?? 0) + latency)
      }
    })
    schedules.forEach((schedule, rank) => {
      const step = schedule[round]
      for (const transfer of step?.receives ?? []) {
        const arrival = arrivals.get(`${transfer.peer} ${rank}`)
        if (arrival === undefined)
          throw new RangeError(`Rank ${transfer.peer} sends nothing to rank ${rank} in round ${round}`)
        const values = transfer.ranges.reduce((sum, { from, to }) => sum + to - from, 0)
        clocks[rank] = Math.max(clocks[rank] ?? 0, arrival) + (step?.reduce ? values * secondsPerSum : 0)
      }
    })
  }
  return clocks.reduce((a, b) => Math.max(a, b), 0)
}
