/**
 * Messages on a stream of bytes: four bytes of length (little endian), then the message. The greatest length announces a goodbye instead: its
 * text follows, with a length of its own.
 * @module
 */
import { MAX_FRAME } from "@swarm/protocol"

const GOODBYE = 0xffff_ffff
const MAX_GOODBYE = 512
const LENGTH_BYTES = 4

/** @see Framer */
export interface Received {
  /** The receiver's to keep. */
  readonly message: (bytes: Uint8Array) => void
  readonly goodbye: (reason: string) => void
  /** The stream is no such stream; nothing is called after it. */
  readonly violation: (detail: string) => void
}

const lengthOf = (length: number): Uint8Array => {
  const bytes = new Uint8Array(LENGTH_BYTES)
  new DataView(bytes.buffer).setUint32(0, length, true)
  return bytes
}

/** What goes before a message. */
export const headOf = (message: Uint8Array): Uint8Array => lengthOf(message.length)

/** A message with what goes before it, in one piece. */
export const withHead = (message: Uint8Array): Uint8Array => {
  const whole = new Uint8Array(LENGTH_BYTES + message.length)
  new DataView(whole.buffer).setUint32(0, message.length, true)
  whole.set(message, LENGTH_BYTES)
  return whole
}

/** The last words on a stream. */
export const goodbye = (reason: string): Uint8Array => {
  const text = new TextEncoder().encode(reason.slice(0, MAX_GOODBYE / 4))
  return Uint8Array.from([...lengthOf(GOODBYE), ...lengthOf(text.length), ...text])
}

/** Puts messages together from pieces of any size. Memory is taken as bytes come, not as their length claims. */
export class Framer {
  readonly #received: Received
  #pieces: Array<Uint8Array> = []
  #bytes = 0
  /** Bytes that are needed before anything can be done. */
  #needed = LENGTH_BYTES
  #state: "length" | "message" | "goodbye length" | "goodbye" | "over" = "length"

  constructor(received: Received) {
    this.#received = received
  }

  push(piece: Uint8Array): void {
    if (this.#state === "over") return
    this.#pieces.push(piece)
    this.#bytes += piece.length
    while (this.#bytes >= this.#needed && this.#isOpen()) this.#take()
  }

  #isOpen(): boolean {
    return this.#state !== "over"
  }

  #take(): void {
    const state = this.#state
    const bytes = this.#cut(this.#needed)
    if (state === "message") {
      this.#expect("length", LENGTH_BYTES)
      this.#received.message(bytes)
    } else if (state === "goodbye") {
      this.#state = "over"
      this.#received.goodbye(new TextDecoder().decode(bytes))
    } else {
      const length = new DataView(bytes.buffer, bytes.byteOffset, LENGTH_BYTES).getUint32(0, true)
      if (state === "goodbye length") this.#limited("goodbye", length, MAX_GOODBYE)
      else if (length === GOODBYE) this.#expect("goodbye length", LENGTH_BYTES)
      else this.#limited("message", length, MAX_FRAME)
    }
  }

  #limited(state: "message" | "goodbye", length: number, most: number): void {
    if (length <= most) {
      this.#expect(state, length)
      return
    }
    this.#state = "over"
    this.#received.violation(`a ${state} of ${length} bytes: at most ${most}`)
  }

  #expect(state: "length" | "message" | "goodbye length" | "goodbye", needed: number): void {
    this.#state = state
    this.#needed = needed
  }

  /** The next `count` bytes, in one piece: fresh, 8-byte aligned, unless they came as one aligned piece. */
  #cut(count: number): Uint8Array {
    const [first] = this.#pieces
    if (first !== undefined && first.length === count && first.byteOffset % 8 === 0) {
      this.#pieces.shift()
      this.#bytes -= count
      return first
    }
    const whole = new Uint8Array(count)
    let at = 0
    while (at < count) {
      const piece = this.#pieces[0]
      if (piece === undefined) break
      const part = piece.subarray(0, count - at)
      whole.set(part, at)
      at += part.length
      if (part.length === piece.length) this.#pieces.shift()
      else this.#pieces[0] = piece.subarray(part.length)
    }
    this.#bytes -= count
    return whole
  }
}
