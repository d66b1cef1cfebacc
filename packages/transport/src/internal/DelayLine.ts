/**
 * One direction of an emulated channel: messages leave when a real link would have carried them, in order.
 * @module
 */
import type { Channel } from "../Transport.ts"

/** Milliseconds and bytes; see `LinkOptions`. */
export interface Timing {
  readonly latency: number
  readonly jitter: number
  readonly bytesPerMilli: number
  /** Mean time between stalls; 0: none. */
  readonly stallEvery: number
  readonly stallFor: number
  readonly random: () => number
}

interface Queued {
  readonly message: Uint8Array
  readonly at: number
}

export class DelayLine {
  readonly #timing: Timing
  readonly #inner: Channel
  readonly #isCut: () => boolean
  #queue: Array<Queued> = []
  #bytes = 0
  #timer: NodeJS.Timeout | undefined
  /** When the sender's wire is free, and when the latest message arrives. */
  #free = 0
  #arrival = 0
  #stallStart: number
  #whenDone: Array<() => void> = []

  constructor(timing: Timing, inner: Channel, isCut: () => boolean) {
    this.#timing = timing
    this.#inner = inner
    this.#isCut = isCut
    this.#stallStart = timing.stallEvery > 0 ? performance.now() + this.#stallGap() : Number.POSITIVE_INFINITY
  }

  /** Bytes that have not left. */
  get bytes(): number {
    return this.#bytes
  }

  send(message: Uint8Array): void {
    const now = performance.now()
    const at = this.#arrivalOf(message.length, now)
    if (at <= now && this.#queue.length === 0 && !this.#isCut()) {
      this.#inner.send(message)
      return
    }
    this.#queue.push({ message, at })
    this.#bytes += message.length
    this.#arm(now)
  }

  /** Calls back when everything has left: at once if nothing waits and the link is not cut. */
  whenDone(callback: () => void): void {
    if (this.#queue.length === 0 && !this.#isCut()) callback()
    else this.#whenDone.push(callback)
  }

  /** Sends what is due: after a cut. */
  wake(): void {
    if (this.#queue.length === 0) this.#finish()
    else this.#arm(performance.now())
  }

  /** Forgets what waits. */
  drop(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#queue = []
    this.#bytes = 0
    this.#finish()
  }

  #arrivalOf(bytes: number, now: number): number {
    const { latency, jitter, bytesPerMilli, random } = this.#timing
    this.#free = this.#afterStall(Math.max(now, this.#free) + bytes / bytesPerMilli)
    this.#arrival = Math.max(this.#arrival, this.#free + latency + (jitter > 0 ? random() * jitter : 0))
    return this.#arrival
  }

  #afterStall(time: number): number {
    const { stallFor } = this.#timing
    while (time >= this.#stallStart + stallFor) this.#stallStart += stallFor + this.#stallGap()
    return time < this.#stallStart ? time : this.#stallStart + stallFor
  }

  #stallGap(): number {
    return -Math.log(1 - this.#timing.random()) * this.#timing.stallEvery
  }

  #arm(now: number): void {
    const head = this.#queue[0]
    if (head === undefined || this.#timer !== undefined || this.#isCut()) return
    this.#timer = setTimeout(() => this.#flush(), Math.max(0, head.at - now))
  }

  #flush(): void {
    this.#timer = undefined
    if (this.#isCut()) return
    const now = performance.now()
    let sent = 0
    for (const { message, at } of this.#queue) {
      if (at > now) break
      this.#inner.send(message)
      this.#bytes -= message.length
      sent++
    }
    this.#queue.splice(0, sent)
    if (this.#queue.length === 0) this.#finish()
    else this.#arm(now)
  }

  #finish(): void {
    const callbacks = this.#whenDone
    this.#whenDone = []
    for (const callback of callbacks) callback()
  }
}
