import { encodeFrame } from "@swarm/protocol"
import { type Channel, MAX_BUFFERED, MAX_WAITING_FRAMES } from "@swarm/transport"
import { assert, describe, it } from "vitest"
import { Closing } from "../src/internal/Closing.ts"
import { makeConnection } from "../src/internal/connection.ts"
import { Deadlines } from "../src/internal/Deadlines.ts"

/** A channel whose carrier takes nothing. */
const stuck = () => {
  const closing = new Closing("stuck")
  let receiver: (message: Uint8Array) => void = () => {}
  let queued = 0
  let sent = 0
  const channel: Channel = {
    remote: "stuck",
    send: (message) => {
      queued += message.length
      sent++
      return closing.closed === undefined
    },
    buffered: () => queued,
    receive: (r) => {
      receiver = r
    },
    closed: closing.promise,
    close: (reason = "") => void closing.settle("local", reason)
  }
  return { channel, deliver: (message: Uint8Array) => receiver(message), count: () => sent }
}

const open = (channel: Channel) =>
  makeConnection(channel, { versions: [2], peer: "p", software: "s" }, new Deadlines(), {
    onOpen: () => {},
    onRevoked: () => {},
    onClosed: () => {}
  })

const rows = { session: "s", epoch: 0, position: 0, tokens: 1, codec: "f32" } as const

describe("a connection", () => {
  it("closes when the peer lets too much pile up", async () => {
    const { channel, count } = stuck()
    const connection = open(channel)
    const payload = new Uint8Array(MAX_BUFFERED / 5)
    let taken = 0
    while (connection.notify("output", rows, payload)) taken++
    assert.isAtMost(taken, 5)
    assert.strictEqual((await connection.closed).reason, "overflow")
    const before = count()
    assert.isFalse(connection.notify("output", rows, payload))
    assert.strictEqual(count(), before)
  })

  it("closes when too many frames wait for a receiver", async () => {
    const { channel, deliver } = stuck()
    const connection = open(channel)
    const frame = encodeFrame("output", 0, rows)
    for (let i = 0; i < MAX_WAITING_FRAMES; i++) deliver(frame)
    assert.isFalse(connection.isClosed())
    deliver(frame)
    assert.strictEqual((await connection.closed).reason, "overflow")
  })

  it("throws for what cannot be encoded, and stays open", async () => {
    const connection = open(stuck().channel)
    assert.throws(() => connection.notify("output", { ...rows, tokens: 0 }), TypeError)
    const failed = await connection.request("find", { model: "x".repeat(2000) }).catch((error) => error)
    assert.instanceOf(failed, TypeError)
    assert.isFalse(connection.isClosed())
  })

  it("refuses a second hello", async () => {
    const { channel, deliver } = stuck()
    const connection = open(channel)
    deliver(encodeFrame("hello", 5, { versions: [2], peer: "q", software: "s", nonce: new Uint8Array(16) }))
    assert.strictEqual((await connection.closed).reason, "protocol")
  })

  it("hands on no frame after it was closed from within its receiver", () => {
    const { channel, deliver } = stuck()
    const connection = open(channel)
    let frames = 0
    const frame = encodeFrame("output", 0, rows)
    for (let i = 0; i < 3; i++) deliver(frame)
    connection.receive((_, c) => {
      frames++
      c.close()
    })
    deliver(frame)
    assert.strictEqual(frames, 1)
  })
})
