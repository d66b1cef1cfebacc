/**
 * Messages on their way to a receiver that may not be set yet.
 * @module
 */

export class Inbox<A> {
  readonly #maxItems: number
  readonly #maxBytes: number
  #receiver: ((item: A) => void) | undefined
  #waiting: Array<A> = []
  #bytes = 0
  #draining = false

  constructor(maxItems: number, maxBytes: number) {
    this.#maxItems = maxItems
    this.#maxBytes = maxBytes
  }

  /** Hands the item over, or keeps it in order. False: more waits than allowed. */
  deliver(item: A, bytes: number): boolean {
    if (this.#receiver !== undefined && !this.#draining) {
      this.#receiver(item)
      return true
    }
    if (this.#waiting.length >= this.#maxItems || this.#bytes + bytes > this.#maxBytes) return false
    this.#waiting.push(item)
    this.#bytes += bytes
    return true
  }

  /** Sets the receiver and gives it what waits. */
  receive(receiver: (item: A) => void): void {
    this.#receiver = receiver
    if (this.#draining) return
    this.#draining = true
    try {
      // whatever arrives meanwhile joins the end
      for (let i = 0; i < this.#waiting.length; i++) this.#receiver(this.#waiting[i] as A)
    } finally {
      this.#draining = false
      this.#waiting = []
      this.#bytes = 0
    }
  }

  /** Forgets what waits. */
  clear(): void {
    this.#waiting = []
    this.#bytes = 0
  }
}
