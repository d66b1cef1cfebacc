/**
 * The fault matrix over the position oracle: fault x hop x phase, faults on top of faults, and faults that nobody can mend.
 */
import { assert, it } from "@effect/vitest"
import type { ChainEvent } from "@swarm/client"
import { makeTestSwarm, oracleSpan } from "@swarm/testing"
import { emulated, layerMemory, makeLink } from "@swarm/transport"
import { Effect, Exit, Fiber } from "effect"
import { describe } from "vitest"
import { CUTS, HIDDEN, head, prompt, run, serving, startAll, undisturbed } from "./support/oracles.ts"

const TOKENS = 12
/** Short, so that a frozen server is found soon. */
const request = { maxTokens: 2048, stallSeconds: 0.1, stepSeconds: 2 }

const setUp = (replicas = 2) =>
  Effect.gen(function* () {
    const link = makeLink()
    const swarm = yield* makeTestSwarm({ blocks: 12, maxTokens: 2048, transport: emulated(link)(layerMemory) })
    const servers = yield* startAll(swarm, replicas)
    const client = yield* swarm.client
    return { link, swarm, servers, client, model: swarm.model }
  })

const faults = ["killed", "frozen", "disconnected"] as const

describe("fault x hop", () => {
  for (const fault of faults) {
    for (const hop of [0, 1, 2]) {
      it.scopedLive(`hop ${hop} ${fault} in decode`, () =>
        Effect.gen(function* () {
          const { link, servers, client, model } = yield* setUp()
          const ids = prompt(3, 50)
          const expected = yield* Effect.promise(() => undisturbed(ids, TOKENS))
          const chain = yield* client.open({ ...request, model })
          const strike = async (token: number) => {
            if (token !== 5) return
            const { server, kill } = serving(servers, chain, hop)
            if (fault === "killed") await Effect.runPromise(kill)
            else if (fault === "frozen") link.cut(server.address)
            else link.sever(server.address)
          }
          assert.deepStrictEqual(yield* Effect.promise(() => run(chain, ids, TOKENS, strike)), expected)
          assert.isAtLeast(chain.recoveries(), 1)
        })
      )

      it.scopedLive(`hop ${hop} ${fault} in prefill`, () =>
        Effect.gen(function* () {
          const { link, swarm, servers, client, model } = yield* setUp(1)
          // spares start first at the hop that will fail, so that they take over whatever was done
          const spare = CUTS[hop]
          if (spare === undefined) return
          const chain = yield* client.open({ ...request, model, chunk: 16, graceSeconds: 5 })
          yield* swarm.start(oracleSpan({ ...spare, hiddenSize: HIDDEN }))
          const { server, kill } = serving(servers, chain, hop)
          const ids = prompt(4, 700)
          const expected = yield* Effect.promise(() => undisturbed(ids, 3))
          const running = yield* Effect.fork(Effect.promise(() => run(chain, ids, 3)))
          // some chunks are through, others are on their way
          yield* Effect.promise(() => new Promise((resolve) => setImmediate(() => setImmediate(resolve))))
          if (fault === "killed") yield* kill
          else if (fault === "frozen") link.cut(server.address)
          else link.sever(server.address)
          assert.deepStrictEqual(yield* Fiber.join(running), expected)
        })
      )
    }
  }

  for (const hop of [0, 1, 2]) {
    it.scopedLive(`hop ${hop} is dead before the session opens`, () =>
      Effect.gen(function* () {
        const { servers, client, model } = yield* setUp()
        // the client has heard of it, and then it dies
        yield* Effect.scoped(client.open({ ...request, model }))
        yield* servers[hop]?.[0]?.kill ?? Effect.void
        const ids = prompt(5, 20)
        const chain = yield* client.open({ ...request, model })
        const expected = yield* Effect.promise(() => undisturbed(ids, 4))
        assert.deepStrictEqual(yield* Effect.promise(() => run(chain, ids, 4)), expected)
      })
    )
  }
})

describe("several faults", () => {
  it.scopedLive("two neighbours die at once", () =>
    Effect.gen(function* () {
      const { servers, client, model } = yield* setUp()
      const ids = prompt(6, 60)
      const expected = yield* Effect.promise(() => undisturbed(ids, TOKENS))
      const chain = yield* client.open({ ...request, model })
      const strike = async (token: number) => {
        if (token !== 6) return
        const victims = [1, 2].map((hop) => serving(servers, chain, hop))
        await Promise.all(victims.map(({ kill }) => Effect.runPromise(kill)))
      }
      assert.deepStrictEqual(yield* Effect.promise(() => run(chain, ids, TOKENS, strike)), expected)
    })
  )

  it.scopedLive("all servers of the chain die at once", () =>
    Effect.gen(function* () {
      const { servers, client, model } = yield* setUp()
      const ids = prompt(7, 60)
      const expected = yield* Effect.promise(() => undisturbed(ids, TOKENS))
      const chain = yield* client.open({ ...request, model })
      const strike = async (token: number) => {
        if (token !== 6) return
        const victims = [0, 1, 2].map((hop) => serving(servers, chain, hop))
        await Promise.all(victims.map(({ kill }) => Effect.runPromise(kill)))
      }
      assert.deepStrictEqual(yield* Effect.promise(() => run(chain, ids, TOKENS, strike)), expected)
    })
  )

  it.scopedLive("one after the other, each hop once", () =>
    Effect.gen(function* () {
      const { servers, client, model } = yield* setUp()
      const ids = prompt(8, 33)
      const expected = yield* Effect.promise(() => undisturbed(ids, TOKENS))
      const chain = yield* client.open({ ...request, model })
      const strike = async (token: number) => {
        if (token === 2 || token === 3 || token === 4) await Effect.runPromise(serving(servers, chain, token - 2).kill)
      }
      assert.deepStrictEqual(yield* Effect.promise(() => run(chain, ids, TOKENS, strike)), expected)
      assert.strictEqual(chain.recoveries(), 3)
    })
  )

  it.scopedLive("the replacement dies during its replay", () =>
    Effect.gen(function* () {
      const { swarm, servers, client, model } = yield* setUp(1)
      const ids = prompt(9, 400)
      const expected = yield* Effect.promise(() => undisturbed(ids, TOKENS))
      const events: Array<ChainEvent> = []
      const chain = yield* client.open({ ...request, model, graceSeconds: 5, onEvent: (event) => events.push(event) })
      let die: Effect.Effect<void> = Effect.void
      let runs = 0
      const weak = yield* swarm.start(
        oracleSpan({
          from: 4,
          to: 8,
          hiddenSize: HIDDEN,
          before: async () => {
            // after its own measurement at start
            if (++runs === 12) await Effect.runPromise(die)
          }
        })
      )
      die = weak.kill
      const strike = async (token: number) => {
        if (token !== 4) return
        await Effect.runPromise(serving(servers, chain, 1).kill)
        setTimeout(() => Effect.runFork(swarm.start(oracleSpan({ from: 4, to: 8, hiddenSize: HIDDEN }))), 200)
      }
      assert.deepStrictEqual(yield* Effect.promise(() => run(chain, ids, TOKENS, strike)), expected)
      assert.isAtLeast(events.filter(({ _tag }) => _tag === "ReplacementChosen").length, 2)
    })
  )

  it.scopedLive("a span is replaced by two servers of other cuts, and two by one", () =>
    Effect.gen(function* () {
      const { swarm, servers, client, model } = yield* setUp(1)
      const ids = prompt(10, 90)
      const expected = yield* Effect.promise(() => undisturbed(ids, TOKENS))
      const chain = yield* client.open({ ...request, model })
      const oracle = (from: number, to: number, parts: ReadonlyArray<readonly [number, number]>) =>
        joined(from, to, parts)
      yield* swarm.start(
        oracle(4, 12, [
          [4, 8],
          [8, 12]
        ])
      )
      const strike = async (token: number) => {
        if (token !== 4) return
        const victims = [1, 2].map((hop) => serving(servers, chain, hop))
        await Promise.all(victims.map(({ kill }) => Effect.runPromise(kill)))
      }
      assert.deepStrictEqual(yield* Effect.promise(() => run(chain, ids, TOKENS, strike)), expected)
      assert.strictEqual(chain.route().length, 2)
    })
  )
})

describe("what cannot be mended", () => {
  it.scopedLive("names the blocks that nobody serves, and goes on when a server returns later", () =>
    Effect.gen(function* () {
      const { swarm, servers, client, model } = yield* setUp(1)
      const ids = prompt(11, 40)
      const expected = yield* Effect.promise(() => undisturbed(ids, 2))
      const chain = yield* client.open({ ...request, model, graceSeconds: 0.5 })
      yield* Effect.promise(() => chain.forward(head.embed(ids.slice(0, 30)), "last"))
      yield* servers[1]?.[0]?.kill ?? Effect.void
      const rest = head.embed(ids.slice(30))
      const error = yield* Effect.promise(() => chain.forward(rest, "last").catch((cause: unknown) => cause))
      assert.nestedInclude(error, { _tag: "BlocksUnserved", "missing[0].from": 4, "missing[0].to": 8 })
      yield* swarm.start(oracleSpan({ from: 4, to: 8, hiddenSize: HIDDEN }))
      const rows = yield* Effect.promise(() => chain.forward(rest, "last"))
      assert.strictEqual(rows[0], expected[0])
    })
  )

  it.scopedLive("waits for a server within the grace time", () =>
    Effect.gen(function* () {
      const { swarm, servers, client, model } = yield* setUp(1)
      const ids = prompt(12, 40)
      const expected = yield* Effect.promise(() => undisturbed(ids, TOKENS))
      const events: Array<ChainEvent> = []
      const chain = yield* client.open({ ...request, model, graceSeconds: 20, onEvent: (event) => events.push(event) })
      const strike = async (token: number) => {
        if (token !== 4) return
        await Effect.runPromise(serving(servers, chain, 1).kill)
        setTimeout(() => Effect.runFork(swarm.start(oracleSpan({ from: 4, to: 8, hiddenSize: HIDDEN }))), 400)
      }
      assert.deepStrictEqual(yield* Effect.promise(() => run(chain, ids, TOKENS, strike)), expected)
      assert.isTrue(events.some(({ _tag }) => _tag === "Waiting"))
    })
  )

  it.scopedLive("says whether the continuation is exact", () =>
    Effect.gen(function* () {
      const { swarm, servers, client, model } = yield* setUp(1)
      yield* swarm.start(oracleSpan({ from: 4, to: 8, hiddenSize: HIDDEN, flavour: 1 }))
      const events: Array<ChainEvent> = []
      const chain = yield* client.open({ ...request, model, onEvent: (event) => events.push(event) })
      const strike = async (token: number) => {
        if (token === 4)
          await Effect.runPromise(
            serving([...servers], chain, 0).kill.pipe(
              Effect.when(() => false),
              Effect.asVoid
            )
          )
        if (token === 5) await Effect.runPromise(killHop(chain.route()[1]?.peer, servers))
      }
      yield* Effect.promise(() => run(chain, prompt(13, 20), TOKENS, strike))
      const chosen = events.find((event) => event._tag === "ReplacementChosen")
      if (chosen !== undefined) assert.isFalse(chosen.exact)
      else assert.strictEqual(chain.recoveries(), 0)
    })
  )
})

describe("sessions", () => {
  it.scopedLive("many share the runs of a server and none the results of another", () =>
    Effect.gen(function* () {
      const { servers, client, model } = yield* setUp(2)
      const all = yield* Effect.forEach(
        Array.from({ length: 12 }, (_, seed) => seed),
        (seed) =>
          Effect.scoped(
            Effect.gen(function* () {
              const ids = prompt(20 + seed, 10 + seed * 7)
              const expected = yield* Effect.promise(() => undisturbed(ids, TOKENS))
              const chain = yield* client.open({ ...request, model })
              const strike = async (token: number) => {
                if (seed === 3 && token === 4) await Effect.runPromise(serving(servers, chain, 1).kill)
              }
              const got = yield* Effect.promise(() => run(chain, ids, TOKENS, strike))
              return { got, expected }
            })
          ),
        { concurrency: "unbounded" }
      )
      for (const { got, expected } of all) assert.deepStrictEqual(got, expected)
    })
  )

  it.scopedLive("200 cancelled ones leave nothing behind", () =>
    Effect.gen(function* () {
      const { servers, client, model } = yield* setUp(1)
      for (let round = 0; round < 20; round++) {
        yield* Effect.forEach(
          Array.from({ length: 10 }, (_, seed) => seed),
          (seed) =>
            Effect.gen(function* () {
              const chain = yield* client.open({ ...request, model })
              yield* Effect.promise(() => run(chain, prompt(seed, 20), 50))
            }).pipe(Effect.scoped, Effect.timeout(5 + seed), Effect.exit),
          { concurrency: "unbounded" }
        )
      }
      yield* Effect.sleep(200)
      for (const [{ server, span }] of servers as unknown as ReadonlyArray<[(typeof servers)[number][number]]>) {
        assert.strictEqual((span as ReturnType<typeof oracleSpan>).opened(), 0)
        assert.strictEqual(server.status().sessions, 0)
        assert.strictEqual(server.status().kvTokens, 0)
      }
      assert.strictEqual(client.sessions(), 0)
    })
  )

  it.scopedLive("move when their server drains, which then ends at once", () =>
    Effect.gen(function* () {
      const { servers, client, model } = yield* setUp(2)
      const ids = prompt(14, 60)
      const expected = yield* Effect.promise(() => undisturbed(ids, TOKENS))
      const chain = yield* client.open({ ...request, model })
      let drained: Promise<unknown> = Promise.resolve()
      const strike = async (token: number) => {
        if (token === 4) drained = Effect.runPromise(serving(servers, chain, 1).server.drain)
      }
      assert.deepStrictEqual(yield* Effect.promise(() => run(chain, ids, TOKENS, strike)), expected)
      yield* Effect.promise(() => drained)
    })
  )

  it.scopedLive("are closed when idle and come back by themselves", () =>
    Effect.gen(function* () {
      const link = makeLink()
      const swarm = yield* makeTestSwarm({ blocks: 12, maxTokens: 2048, transport: emulated(link)(layerMemory) })
      const spans = CUTS.map((cut) => oracleSpan({ ...cut, hiddenSize: HIDDEN }))
      for (const span of spans) yield* swarm.start(span, { idleSeconds: 0.2 })
      const client = yield* swarm.client
      const ids = prompt(15, 60)
      const expected = yield* Effect.promise(() => undisturbed(ids, 2))
      const chain = yield* client.open({ ...request, model: swarm.model })
      yield* Effect.promise(() => chain.forward(head.embed(ids.slice(0, 50)), "last"))
      yield* Effect.sleep(500)
      assert.deepStrictEqual(
        spans.map((span) => span.opened()),
        [0, 0, 0]
      )
      const rows = yield* Effect.promise(() => chain.forward(head.embed(ids.slice(50)), "last"))
      assert.strictEqual(rows[0], expected[0])
    })
  )

  it.scopedLive("take a turn back", () =>
    Effect.gen(function* () {
      const { client, model } = yield* setUp(1)
      const ids = prompt(16, 60)
      const expected = yield* Effect.promise(() => undisturbed(ids, 1))
      const chain = yield* client.open({ ...request, model })
      yield* Effect.promise(() => chain.forward(head.embed(ids.slice(0, 50)), "all"))
      yield* Effect.promise(() => chain.forward(head.embed([1, 2, 3]), "last"))
      yield* Effect.promise(() => chain.truncate(50))
      const rows = yield* Effect.promise(() => chain.forward(head.embed(ids.slice(50)), "last"))
      assert.strictEqual(rows[0], expected[0])
    })
  )

  it.scopedLive("refuse what is longer than they are", () =>
    Effect.gen(function* () {
      const { client, model } = yield* setUp(1)
      const chain = yield* client.open({ ...request, maxTokens: 16, model })
      const exit = yield* Effect.exit(
        Effect.tryPromise({
          try: () => chain.forward(head.embed(prompt(1, 17)), "last"),
          catch: (cause) => cause as { _tag: string }
        })
      )
      assert.isTrue(Exit.isFailure(exit))
      const tooLong = yield* Effect.flip(client.open({ ...request, maxTokens: 100_000, model, graceSeconds: 0.2 }))
      assert.include(["SessionRefused", "BlocksUnserved"], tooLong._tag)
    })
  )
})

const killHop = (peer: string | undefined, servers: Awaited<ReturnType<typeof all>>) =>
  servers.flat().find(({ server }) => server.peer === peer)?.kill ?? Effect.void

const all = async () =>
  [] as Array<Array<{ readonly server: { readonly peer: string }; readonly kill: Effect.Effect<void> }>>

/** One server that computes what two oracles in a row do. */
const joined = (from: number, to: number, parts: ReadonlyArray<readonly [number, number]>) => {
  const spans = parts.map(([a, b]) => oracleSpan({ from: a, to: b, hiddenSize: HIDDEN }))
  const slots = new WeakMap<object, ReadonlyArray<ReturnType<(typeof spans)[number]["open"]>>>()
  const base = oracleSpan({ from, to, hiddenSize: HIDDEN })
  return {
    ...base,
    open: (capacity: number) => {
      const slot = base.open(capacity)
      slots.set(
        slot,
        spans.map((span) => span.open(capacity))
      )
      return slot
    },
    run: async (steps: Parameters<typeof base.run>[0], x: Float32Array) => {
      let rows = x
      for (const [index, span] of spans.entries()) {
        rows = await span.run(
          steps.map((step) => ({ ...step, kv: slots.get(step.kv)?.[index] ?? step.kv })),
          rows
        )
      }
      return rows
    }
  }
}
