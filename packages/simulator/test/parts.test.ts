/**
 * Files that are read, the order of events, and plans.
 * @module
 */
import { readdirSync, readFileSync } from "node:fs"
import * as path from "node:path"
import { assert, describe, it } from "vitest"
import { EventQueue } from "../src/EventQueue.ts"
import { parseMachines, parseScenario, ScenarioError } from "../src/parseScenario.ts"
import { type MachineSpec, planSwarm } from "../src/planSwarm.ts"

describe("events", () => {
  it("happen by time, then by order", () => {
    const events = new EventQueue()
    const seen: Array<string> = []
    for (const [name, at] of [
      ["c", 3],
      ["a", 1],
      ["b", 1],
      ["e", 9],
      ["d", 3]
    ] as const) {
      events.after(at, () => {
        seen.push(`${name}@${events.now}`)
        if (name === "a") events.after(1.5, () => seen.push(`f@${events.now}`))
      })
    }
    while (events.step(8)) {}
    assert.deepStrictEqual(seen, ["a@1", "b@1", "f@2.5", "c@3", "d@3"])
    assert.throws(() => events.after(-1, () => undefined), RangeError)
  })
})

describe("files", () => {
  const folder = path.join(import.meta.dirname, "../../../examples/scenarios")
  for (const name of readdirSync(folder)) {
    it(name, () => {
      const value: unknown = JSON.parse(readFileSync(path.join(folder, name), "utf8"))
      if (name === "machines.json") assert.isNotEmpty(parseMachines(value).machines)
      else assert.isNotEmpty(parseScenario(value))
    })
  }
  const good = {
    name: "x",
    model: { blocks: 4, tokenBytes: 1 },
    servers: [{ blocks: 4, decodeRate: 1, prefillRate: 1 }],
    load: [],
    network: { within: { rttMs: 1 } }
  }
  it.each<[field: string, value: unknown]>([
    ["", null],
    ["name", { ...good, name: 1 }],
    ["model.blocks", { ...good, model: { blocks: 1e9, tokenBytes: 1 } }],
    ["model.tokenBytes", { ...good, model: { blocks: 4 } }],
    ["servers", { ...good, servers: [] }],
    ["servers[0].decodeRate", { ...good, servers: [{ blocks: 4, decodeRate: 0, prefillRate: 1 }] }],
    ["servers[0].decodeRate", { ...good, servers: [{ blocks: 4, decodeRate: Number.NaN, prefillRate: 1 }] }],
    ["servers[0].blocks", { ...good, servers: [{ blocks: [3, 1], decodeRate: 1, prefillRate: 1 }] }],
    ["servers[0].blocks", { ...good, servers: [{ blocks: [3, 9], decodeRate: 1, prefillRate: 1 }] }],
    ["servers[0].colour", { ...good, servers: [{ blocks: 4, decodeRate: 1, prefillRate: 1, colour: "red" }] }],
    ["servers", { ...good, servers: Array(20).fill({ count: 99_999, blocks: 4, decodeRate: 1, prefillRate: 1 }) }],
    ["load[0].newTokens", { ...good, load: [{ count: 1, promptTokens: 1, newTokens: 0 }] }],
    ["load[0].during", { ...good, load: [{ count: 1, promptTokens: 1, newTokens: 1, during: [5, 1] }] }],
    ["failures.perSend", { ...good, failures: { perSend: 1 } }],
    ["recovery", { ...good, recovery: "prayer" }],
    ["network.pairs.a b.rttMs", { ...good, network: { within: { rttMs: 1 }, pairs: { "a b": {} } } }],
    ["variants[0].seed", { ...good, variants: [{ name: "y", seed: -1 }] }]
  ])("refuses a wrong %s", (field, value) => {
    try {
      parseScenario(value)
      assert.fail("it was taken")
    } catch (error) {
      assert.instanceOf(error, ScenarioError)
      assert.strictEqual(error.field, field)
    }
  })
  it("variants replace fields", () => {
    const runs = parseScenario({ ...good, variants: [{ name: "a" }, { name: "b", recovery: "restart" }] })
    assert.deepStrictEqual(
      runs.map(({ name, recovery }) => [name, recovery]),
      [
        ["a", undefined],
        ["b", "restart"]
      ]
    )
  })
})

describe("a plan", () => {
  // 70 blocks of 2 GB: BLOOM-176B in 8 bits
  const needs = {
    blocks: 70,
    blockBytes: 2.49e9,
    blockParameters: 2.47e9,
    kvBytes: 57_344,
    tokenBytes: 28_672,
    cacheTokens: 2048,
    promptTokens: 128
  }
  const network = { within: { rttMs: 5, mbps: 1000 } }
  const big: MachineSpec = { name: "a100", memoryGB: 80, memoryGBps: 2039, gflops: 300_000, diskGBps: 32 }

  it("says what PETALS' authors saw: three A100 beat one that reads its weights over PCIe", () => {
    const { swarm, alone, offloading, verdict, gain, machines } = planSwarm(
      { machines: [{ ...big, count: 3 }], network },
      needs
    )
    assert.isUndefined(alone)
    assert.strictEqual(verdict, "swarm")
    // published: 1.71 steps/s, and at most 0.18 with all weights over 256 Gbit/s; reading half of them is twice that
    assert.isAbove(1 / (swarm?.secondsPerToken ?? 0), 1.71)
    assert.isBelow(1 / offloading.secondsPerToken, 0.4)
    assert.isAbove(gain, 5)
    const held = machines.flatMap(({ blocks: { from, to } }) => Array.from({ length: to - from }, (_, i) => from + i))
    assert.strictEqual(new Set(held).size, 70)
    for (const { bytes, memory } of machines) assert.isAtMost(bytes, memory)
  })
  it("takes measured rates instead of estimates, and says what three servers on one machine do", () => {
    // SmolLM2, one thread: 78.9 and 367 tokens/s alone are 30 times as many through one block; over three servers on
    // loopback 56.0 (`swarm bench --swarm 3`, docs/performance.md)
    const rates = { decodeRate: 30 * 78.9, prefillRate: 30 * 367 }
    const server: MachineSpec = { name: "server", memoryGB: 0.32, memoryGBps: 1, count: 3, ...rates }
    const small = { ...needs, blocks: 30, blockBytes: 2.1e6, kvBytes: 768, tokenBytes: 1152, cacheTokens: 16_384 }
    const { swarm } = planSwarm({ machines: [server], network: { within: { rttMs: 0.4 } } }, small)
    assert.closeTo((swarm?.secondsPerToken ?? 0) * 56, 1, 0.25)
  })
  it("advises against a swarm where one machine holds the model", () => {
    const { verdict, alone } = planSwarm({ machines: [{ ...big, memoryGB: 400 }, big], network }, needs)
    assert.strictEqual(verdict, "alone")
    assert.strictEqual(alone?.machine, "a100 1")
  })
  it("says when the machines cannot hold the model, and which hold no block", () => {
    const { swarm, verdict, left } = planSwarm(
      { machines: [big, { ...big, name: "phone", memoryGB: 1 }], network },
      needs
    )
    assert.isUndefined(swarm)
    assert.strictEqual(verdict, "offloading")
    assert.deepStrictEqual(left, ["phone"])
  })
})
