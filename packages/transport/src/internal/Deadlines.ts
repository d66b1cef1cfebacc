/**
 * Deadlines of everything that waits for a peer, kept by one timer that runs only while there are some.
 * @module
 */

/** Something that waits. */
export interface Deadline {
  /** On the clock of `performance.now()`, ms; `Infinity`: never. */
  readonly at: number
  /** Called once, after it was removed. Must not throw. */
  readonly expire: () => void
}

/** How late a deadline may be noticed, ms. */
export const SWEEP_MILLIS = 50

export class Deadlines {
  readonly #waiting = new Set<Deadline>()
  #timer: NodeJS.Timeout | undefined

  add(deadline: Deadline): void {
    this.#waiting.add(deadline)
    this.#timer ??= setInterval(() => this.#sweep(), SWEEP_MILLIS).unref()
  }

  delete(deadline: Deadline): void {
    this.#waiting.delete(deadline)
    if (this.#waiting.size === 0) this.#stop()
  }

  /** Things that wait. */
  get size(): number {
    return this.#waiting.size
  }

  #stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #sweep(): void {
    const now = performance.now()
    for (const deadline of this.#waiting) {
      if (deadline.at > now) continue
      this.#waiting.delete(deadline)
      deadline.expire()
    }
    if (this.#waiting.size === 0) this.#stop()
  }
}

/** The time `seconds` from now on the deadlines' clock. */
export const inSeconds = (seconds: number): number => performance.now() + seconds * 1000
