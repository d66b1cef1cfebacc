import { decodeRows } from "@swarm/quant"
import { assert, describe, it } from "vitest"
import { makeOutlet } from "../src/Outlet.ts"
import type { Work } from "../src/Session.ts"
import { fakeConnection, HIDDEN, rowsAt, type Sent, type SessionOptions, sessionOf } from "./support.ts"

const work = (position: number, tokens: number, want: Work["want"] = "last"): Work => ({
  position,
  tokens,
  x: new Float32Array(tokens * HIDDEN),
  want,
  since: 0
})

/** A session at a hop that sends on to a peer and copies to the client. */
const between = (options: SessionOptions = {}) => {
  const client = fakeConnection("client")
  const next = fakeConnection("next")
  const session = sessionOf({
    ...options,
    owner: client.connection,
    next: next.connection,
    link: {
      next: { kind: "peer", peer: "next", address: "fake:next", session: "theirs" },
      journalFrom: 0,
      ...options.link
    }
  })
  return { outlet: makeOutlet(HIDDEN), session, client, next }
}

/** First values of the rows of a frame, which `rowsAt` makes their positions. */
const positions = ({ body, payload }: Sent): ReadonlyArray<number> => {
  const tokens = Number(body.tokens)
  const x = decodeRows(body.codec as "f32" | "f16", payload, tokens, HIDDEN)
  return Array.from({ length: tokens }, (_, row) => x[row * HIDDEN] ?? -1)
}

describe("Outlet to the client", () => {
  it("sends the rows that are wanted", () => {
    const { connection, sent } = fakeConnection("client")
    const session = sessionOf({ owner: connection })
    const outlet = makeOutlet(HIDDEN)
    assert.isUndefined(outlet.send(session, work(2, 3), rowsAt(2, 3)))
    assert.isUndefined(outlet.send(session, work(5, 2, "all"), rowsAt(5, 2)))
    assert.deepStrictEqual(sent.map(positions), [[4], [5, 6]])
    assert.deepStrictEqual(
      sent.map(({ kind, body }) => [kind, body.session, body.epoch, body.position, body.tokens]),
      [
        ["output", "s", 1, 4, 1],
        ["output", "s", 1, 5, 2]
      ]
    )
  })

  it("sends no row twice that the client has", () => {
    const { connection, sent } = fakeConnection("client")
    const session = sessionOf({ owner: connection, link: { sendFrom: 4 } })
    const outlet = makeOutlet(HIDDEN)
    outlet.send(session, work(0, 3, "all"), rowsAt(0, 3))
    outlet.send(session, work(3, 3, "all"), rowsAt(3, 3))
    assert.deepStrictEqual(sent.map(positions), [[4, 5]])
  })
})

describe("Outlet to the next hop", () => {
  it("sends at once and copies in batches, each row once and in order", () => {
    const { outlet, session, client, next } = between()
    for (let position = 0; position < 19; position++) {
      assert.isUndefined(outlet.send(session, work(position, 1), rowsAt(position, 1)))
      assert.lengthOf(next.sent, position + 1)
    }
    assert.deepStrictEqual(
      client.sent.map(({ kind, body }) => [kind, body.position, body.tokens]),
      [
        ["journal", 0, 8],
        ["journal", 8, 8]
      ]
    )
    outlet.flushAll()
    outlet.flushAll()
    const copied = client.sent.flatMap(positions)
    assert.deepStrictEqual(
      copied,
      Array.from({ length: 19 }, (_, i) => i)
    )
    assert.deepStrictEqual(next.sent.flatMap(positions), copied)
    assert.deepInclude(next.sent[3]?.body, { session: "theirs", position: 3, tokens: 1, want: "last" })
  })

  it("begins another batch where rows do not follow", () => {
    const { outlet, session, client } = between()
    outlet.send(session, work(0, 2), rowsAt(0, 2))
    outlet.send(session, work(5, 2), rowsAt(5, 2))
    outlet.flush(session)
    assert.deepStrictEqual(client.sent.map(positions), [
      [0, 1],
      [5, 6]
    ])
  })

  it("goes over to f32 for rows that f16 cannot hold, in a batch of their own", () => {
    const { outlet, session, client, next } = between({ codec: "f16" })
    outlet.send(session, work(0, 1), rowsAt(0, 1))
    const large = new Float32Array(HIDDEN).fill(70_000)
    outlet.send(session, work(1, 1), large)
    outlet.send(session, work(2, 1), rowsAt(2, 1))
    outlet.flushAll()
    for (const { sent } of [client, next]) {
      assert.deepStrictEqual(
        sent.map(({ body }) => [body.position, body.codec]),
        [
          [0, "f16"],
          [1, "f32"],
          [2, "f16"]
        ]
      )
      assert.deepStrictEqual(sent.flatMap(positions), [0, 70_000, 2])
    }
  })

  it("sends and copies from different positions on", () => {
    const { outlet, session, client, next } = between({ link: { sendFrom: 4, journalFrom: 2 } })
    outlet.send(session, work(0, 6, "all"), rowsAt(0, 6))
    outlet.flushAll()
    assert.deepStrictEqual(next.sent.map(positions), [[4, 5]])
    assert.deepStrictEqual(client.sent.map(positions), [[2, 3, 4, 5]])
    const silent = between({ link: { journalFrom: -1 } })
    silent.outlet.send(silent.session, work(0, 20), rowsAt(0, 20))
    silent.outlet.flushAll()
    assert.lengthOf(silent.client.sent, 0)
  })

  it("says that the next hop is gone, and copies all the same", () => {
    const { outlet, session, client, next } = between()
    next.connection.close()
    const fault = outlet.send(session, work(0, 1), rowsAt(0, 1))
    assert.deepInclude(fault, { kind: "elsewhere", code: "next-gone", peer: "next" })
    outlet.flushAll()
    assert.deepStrictEqual(client.sent.map(positions), [[0]])
  })

  it("forgets the copies of a session that ended", () => {
    const { outlet, session, client } = between()
    outlet.send(session, work(0, 1), rowsAt(0, 1))
    outlet.forget(session)
    outlet.flushAll()
    assert.lengthOf(client.sent, 0)
  })
})
