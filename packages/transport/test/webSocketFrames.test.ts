import { randomBytes } from "node:crypto"
import { PassThrough } from "node:stream"
import { assert, describe, it } from "vitest"
import { divertMessages, frameMessage } from "../src/internal/webSocketFrames.ts"

/** What a stream of `pieces` gives: messages taken the short way, and the bytes that `ws` gets. */
const divert = (masked: boolean, pieces: ReadonlyArray<Uint8Array>) => {
  const stream = new PassThrough()
  const passed: Array<Uint8Array> = []
  stream.on("data", (piece: Uint8Array) => passed.push(piece))
  const order: Array<string> = []
  const messages: Array<Uint8Array> = []
  divertMessages(stream, masked, (message) => {
    messages.push(message)
    order.push(`message after ${Buffer.concat(passed).length}`)
  })
  for (const piece of pieces) stream.emit("data", Buffer.from(piece))
  return {
    messages: messages.map((message) => Buffer.from(message).toString("hex")),
    passed: Buffer.concat(passed),
    order
  }
}

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(" ", ""), "hex")
const cut = (bytes: Uint8Array, size: number): Array<Uint8Array> => {
  const pieces: Array<Uint8Array> = []
  for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size))
  return pieces
}

// RFC 6455, section 5.7
const MASKED_TEXT = hex("81 85 37fa213d 7f9f4d5158")
const FRAGMENTS = [hex("01 03 48656c"), hex("80 02 6c6f")]
const PING = hex("89 05 48656c6c6f")
const MASKED_PONG = hex("8a 85 37fa213d 7f9f4d5158")
const HEADER_256 = hex("82 7e 0100")
const HEADER_64K = hex("82 7f 0000000000010000")

describe("frameMessage", () => {
  it("writes the headers of RFC 6455's examples", () => {
    for (const [size, header] of [
      [256, HEADER_256],
      [65_536, HEADER_64K]
    ] as const) {
      const message = randomBytes(size)
      assert.deepStrictEqual(Buffer.concat(frameMessage(message, false)), Buffer.concat([header, message]))
    }
  })

  it("says of a message by the dialler that it is masked, by zeros", () => {
    assert.deepStrictEqual(Buffer.concat(frameMessage(hex("0102"), true)), hex("82 82 00000000 0102"))
    assert.deepStrictEqual(frameMessage(new Uint8Array(0), true).length, 1)
  })
})

describe("divertMessages", () => {
  it("gives every message and passes on every other frame, however the bytes are cut", () => {
    for (const masked of [false, true]) {
      const sent = [0, 1, 125, 126, 1176, 5].map((size) => randomBytes(size))
      const others = masked ? [MASKED_TEXT, MASKED_PONG] : [PING]
      const frames = sent.flatMap((message) => [...frameMessage(message, masked), ...others])
      const whole = divert(masked, [Buffer.concat(frames)])
      assert.deepStrictEqual(
        whole.messages,
        sent.map((message) => message.toString("hex"))
      )
      assert.deepStrictEqual(whole.passed, Buffer.concat(sent.flatMap(() => others)))
      for (const size of [1, 2, 3, 7, 100, 1000]) {
        // a message in several pieces is put together by ws: in all, nothing is lost and the order is kept
        const { messages, passed } = divert(masked, cut(Buffer.concat(frames), size))
        const rest = divert(masked, [passed])
        assert.strictEqual(messages.length + rest.messages.length, sent.length)
        assert.deepStrictEqual(rest.passed, whole.passed)
      }
    }
  })

  it("delivers in the order of the stream", () => {
    const frames = [PING, ...frameMessage(hex("01"), false), PING, ...frameMessage(hex("02"), false)]
    const { order } = divert(false, [Buffer.concat(frames)])
    assert.deepStrictEqual(order, ["message after 7", "message after 14"])
  })

  it("leaves to ws what is really masked, masked wrongly, fragmented, reserved, or behind a closing frame", () => {
    const message = Buffer.concat(frameMessage(hex("0102"), false))
    const cases: ReadonlyArray<readonly [boolean, ReadonlyArray<Uint8Array>]> = [
      [true, [hex("82 82 37fa213d 0102")]],
      [true, [message]],
      [false, [hex("82 82 00000000 0102")]],
      [false, [hex("c2 02 0102")]],
      [false, [...FRAGMENTS, message]],
      [false, [hex("88 00"), message]],
      [false, [hex("82 7f ffffffffffffffff"), message]]
    ]
    for (const [masked, frames] of cases) {
      const { messages, passed } = divert(masked, frames)
      assert.deepStrictEqual(messages, [])
      assert.deepStrictEqual(passed, Buffer.concat(frames))
    }
  })
})
