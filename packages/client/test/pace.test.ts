import { assert, describe, it } from "@effect/vitest"
import { makePace } from "../src/pace.ts"

const hop = (peer: string, roundTrip: number | undefined) => ({
  hop: { peer },
  connection: { roundTrip: () => roundTrip }
})

describe("makePace()", () => {
  const told: Array<readonly [string, number]> = []
  const clock = () => makePace((peer, seconds) => told.push([peer, Math.round(seconds * 1000)]))

  it("tells the mean of four steps of the only server, less the round trip", () => {
    const pace = clock()
    for (let step = 0; step <= 8; step++) {
      pace.started([hop("a", 0.1)], step, step)
      pace.ended(step + (step < 4 ? 0.3 : 0.5))
    }
    assert.deepEqual(told.splice(0), [
      ["a", 200],
      ["a", 400]
    ])
  })

  it("finds the slow one of three by the copies, and blames no way", () => {
    const pace = clock()
    const hops = [hop("quick", 0.02), hop("slow", 0.2), hop("far", 0.6)]
    for (let step = 0; step <= 4; step++) {
      pace.started(hops, step, 10 * step)
      pace.copied(0, step, 10 * step + 0.06)
      pace.copied(0, step - 1, 10 * step + 0.07)
      pace.copied(1, step, 10 * step + 1.06)
      pace.copied(1, step, 10 * step + 5)
      pace.ended(10 * step + 1.56)
    }
    assert.deepEqual(told.splice(0), [
      ["quick", 0],
      ["slow", 750],
      ["far", 0]
    ])
  })

  it("takes copies that the output overtook, within the wait that it takes off", () => {
    const pace = clock()
    const hops = [hop("slow", 0), hop("quick", 0)]
    for (let step = 0; step <= 4; step++) {
      pace.started(hops, step, step)
      pace.ended(step + 0.5)
      pace.copied(0, step, step + 0.51)
    }
    assert.deepEqual(told.splice(0), [
      ["slow", 450],
      ["quick", 0]
    ])
  })

  it("says nothing of hops whose copies came too late, nor of steps that were dropped", () => {
    const pace = clock()
    for (let step = 0; step < 8; step++) {
      pace.started([hop("a", 0), hop("b", 0)], step, step)
      pace.ended(step + 0.5)
      pace.copied(0, step, step + 0.6)
      pace.started([hop("a", 0)], step, step)
      pace.dropped()
      pace.ended(step + 0.9)
    }
    assert.deepEqual(told, [])
  })
})
