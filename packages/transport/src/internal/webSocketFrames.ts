/**
 * The short way of whole binary messages through a WebSocket; all else of RFC 6455 is left to `ws`.
 *
 * Between two messages of a stream a matrix product empties the processor's caches, so a message costs what code and data
 * it touches. A message of the token path is one frame in one piece: its header is read and written here.
 * @module
 */
import type { Duplex } from "node:stream"

/** First byte of a frame: a whole binary message, nothing reserved (RFC 6455, section 5.2). */
const WHOLE_BINARY = 0x82
const FINAL = 0x80
const OPCODE = 0x0f
const CONTINUATION = 0
const CLOSE = 8
const MASKED = 0x80
const MASK_BYTES = 4
/** Messages below it are copied behind their header: cheaper than two pieces in one write. */
const COPIED_BYTES = 16_384

/**
 * The pieces of a frame that holds `message`.
 *
 * @param masks whether this end must mask, as who dialled must: it does, with a key of zeros
 */
export const frameMessage = (message: Uint8Array, masks: boolean): ReadonlyArray<Uint8Array> => {
  const size = message.length
  const sizeBytes = size < 126 ? 0 : size < 65_536 ? 2 : 8
  const start = 2 + sizeBytes + (masks ? MASK_BYTES : 0)
  const isCopied = size < COPIED_BYTES
  const frame = Buffer.allocUnsafe(isCopied ? start + size : start)
  frame[0] = WHOLE_BINARY
  frame[1] = (masks ? MASKED : 0) | (sizeBytes === 0 ? size : sizeBytes === 2 ? 126 : 127)
  if (sizeBytes === 2) frame.writeUInt16BE(size, 2)
  else if (sizeBytes === 8) frame.writeBigUInt64BE(BigInt(size), 2)
  if (masks) frame.fill(0, 2 + sizeBytes, start)
  if (!isCopied) return [frame, message]
  frame.set(message, start)
  return [frame]
}

/**
 * Takes the bytes of `stream` before `ws` does: messages that are one unmasked piece (or masked by zeros, where who dialled must
 * mask) go to `receive`, as views; every other frame goes the way it went before.
 *
 * Call it in the turn in which the socket opened.
 *
 * @param masked whether frames must come masked
 * @returns stops the other way too: `ws` has given the connection up and takes no more
 */
export const divertMessages = (
  stream: Duplex,
  masked: boolean,
  receive: (message: Uint8Array) => void
): (() => void) => {
  const [listener, ...others] = stream.listeners("data")
  if (listener === undefined || others.length > 0) return () => {}
  let stopped = false
  /** Bytes still to come of a frame that goes the other way. */
  let left = 0
  /** Everything goes the other way: pieces of messages are put together there. */
  let all = false
  /** A header that is not complete. */
  let held: Buffer | undefined

  const pass = (bytes: Buffer): void => {
    if (!stopped && bytes.length > 0) listener.call(stream, bytes)
  }

  const take = (piece: Buffer): void => {
    const bytes = held === undefined ? piece : Buffer.concat([held, piece])
    held = undefined
    let passed = 0
    let at = 0
    while (at < bytes.length && !all) {
      if (left > 0) {
        const more = Math.min(left, bytes.length - at)
        left -= more
        at += more
        continue
      }
      const header = headerBytes(bytes, at)
      if (header > bytes.length - at) {
        held = bytes.subarray(at)
        break
      }
      const size = sizeOf(bytes, at)
      const start = at + header
      if (isShort(bytes, at, header, masked) && size <= bytes.length - start) {
        pass(bytes.subarray(passed, at))
        receive(bytes.subarray(start, start + size))
        at = start + size
        passed = at
        continue
      }
      const first = bytes[at] ?? 0
      const opcode = first & OPCODE
      all = (first & FINAL) === 0 || opcode === CONTINUATION || opcode === CLOSE
      left = header + size
    }
    pass(bytes.subarray(passed, held === undefined ? bytes.length : at))
  }

  stream.off("data", listener as (piece: Buffer) => void)
  stream.on("data", take)
  return () => {
    stopped = true
    all = true
  }
}

/** Bytes of the header that begins at `at`; at least one more than there are, if its second byte is missing. */
const headerBytes = (bytes: Buffer, at: number): number => {
  const second = bytes[at + 1]
  if (second === undefined) return 2
  const size = second & 127
  return 2 + (size < 126 ? 0 : size === 126 ? 2 : 8) + (second >= MASKED ? MASK_BYTES : 0)
}

const sizeOf = (bytes: Buffer, at: number): number => {
  const size = (bytes[at + 1] ?? 0) & 127
  if (size < 126) return size
  return size === 126 ? bytes.readUInt16BE(at + 2) : Number(bytes.readBigUInt64BE(at + 2))
}

const isShort = (bytes: Buffer, at: number, header: number, masked: boolean): boolean => {
  if (bytes[at] !== WHOLE_BINARY || (bytes[at + 1] ?? 0) >= MASKED !== masked) return false
  return !masked || bytes.readUInt32LE(at + header - MASK_BYTES) === 0
}
