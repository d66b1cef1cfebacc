/** One step as bytes, and what becomes of it when the bytes are damaged or lie. */
import { decodeFrame, encodeFrame, ProtocolError } from "@swarm/protocol"
import { encodeRows } from "@swarm/quant"

const hidden = 64
const { codec, payload } = encodeRows("f16", new Float32Array(3 * hidden).fill(0.5), hidden)
const body = { session: "a1b2c3", epoch: 1, position: 40, tokens: 3, codec, want: "last" } as const
const frame = encodeFrame("step", 0, body, payload)
console.log(`${frame.length} bytes, of which ${payload.length} are activations`)

const read = (bytes: Uint8Array): string => {
  try {
    const { kind } = decodeFrame(bytes)
    return kind
  } catch (error) {
    return error instanceof ProtocolError ? `${error.reason}: ${error.detail}` : String(error)
  }
}
const changed = (at: number, ...bytes: ReadonlyArray<number>): Uint8Array => {
  const copy = frame.slice()
  copy.set(bytes, at)
  return copy
}
console.log(read(frame))
console.log(read(changed(200, 1)))
console.log(read(changed(8, 9)))
console.log(read(changed(20, 255, 255, 255, 255)))
console.log(read(frame.subarray(0, 100)))
// prints: 432 bytes, of which 384 are activations
// step
// checksum: the bytes were changed
// version: the layout is of version 9, not 2
// limit: 4294967295 bytes of payload: at most 33554432
// length: 100 bytes came where the prefix says 432
