/**
 * A channel whose sent messages go through a delay line.
 * @module
 */
import type { Channel } from "../Transport.ts"
import { Closing } from "./Closing.ts"
import type { DelayLine } from "./DelayLine.ts"

/** Tells the other end, if it is emulated too, that no peer closed this channel. */
const BROKEN = "the emulated link broke"

export interface EmulatedChannelOptions {
  readonly inner: Channel
  readonly line: DelayLine
  /** Draws whether a message is lost. */
  readonly losing: (message: Uint8Array) => boolean
  /** Lost messages do not break the channel. */
  readonly lossy: boolean
}

export interface EmulatedChannel {
  readonly channel: Channel
  /** Closes both ends with reason `lost`; what was on its way is gone. */
  readonly breakOff: () => void
}

export const emulatedChannel = (options: EmulatedChannelOptions): EmulatedChannel => {
  const { inner, line } = options
  const closing = new Closing(inner.remote)

  const breakOff = (): void => {
    if (closing.settle("lost", BROKEN) === undefined) return
    line.drop()
    inner.close(BROKEN)
  }
  inner.closed.then((closed) => {
    line.drop()
    closing.settle(closed.detail === BROKEN ? "lost" : closed.reason, closed.detail)
  })

  return {
    breakOff,
    channel: {
      remote: inner.remote,
      ...(inner.peer === undefined ? {} : { peer: inner.peer }),
      send: (message) => {
        if (closing.closed !== undefined) return false
        if (!options.losing(message)) {
          line.send(message)
          return true
        }
        if (!options.lossy) breakOff()
        return options.lossy
      },
      buffered: () => line.bytes + inner.buffered(),
      receive: (receiver) =>
        inner.receive((message) => {
          const reason = closing.closed?.reason
          if (reason === undefined || reason === "remote") receiver(message)
        }),
      closed: closing.promise,
      close: (reason = "closed here") => {
        // the close travels behind the messages, so it waits for them
        if (closing.settle("local", reason) !== undefined) line.whenDone(() => inner.close(reason))
      }
    }
  }
}
