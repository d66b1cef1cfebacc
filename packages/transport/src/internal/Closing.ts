/**
 * The one end of a channel: whoever closes it first gives the reason.
 * @module
 */
import { ChannelClosed } from "../TransportError.ts"

export class Closing {
  readonly promise: Promise<ChannelClosed>
  readonly #remote: string
  #resolve: (closed: ChannelClosed) => void = () => {}
  #closed: ChannelClosed | undefined

  constructor(remote: string) {
    this.#remote = remote
    this.promise = new Promise((resolve) => {
      this.#resolve = resolve
    })
  }

  /** The reason, once closed. */
  get closed(): ChannelClosed | undefined {
    return this.#closed
  }

  /** Closes with this reason, and gives it back; undefined if it was closed before. */
  settle(reason: ChannelClosed["reason"], detail: string): ChannelClosed | undefined {
    if (this.#closed !== undefined) return undefined
    this.#closed = new ChannelClosed({ remote: this.#remote, reason, detail })
    this.#resolve(this.#closed)
    return this.#closed
  }
}
