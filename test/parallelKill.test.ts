/**
 * A server of two processes that loses one of them in the middle of a generation: it goes down, and the text goes on at
 * another one.
 */
import * as path from "node:path"
import { assert, layer } from "@effect/vitest"
import { clientLayer, type ServerProcess, startRank, startServer } from "@swarm/cli"
import { type Chain, Swarm } from "@swarm/client"
import { type Head, loadHead } from "@swarm/compute"
import * as Engine from "@swarm/engine"
import { openModel } from "@swarm/model"
import { Effect, Layer } from "effect"
import { argmaxRow } from "./support/tensors.ts"

const MAIN = path.join(import.meta.dirname, "../packages/cli/src/main.ts")
const COMMAND = [process.execPath, "--import", "tsx", "--conditions=swarm-src", MAIN] as const
const PROMPT = [0, 5, 99, 200, 31, 7, 450]
const TOKENS = 40

const start = (join: ReadonlyArray<string>) =>
  startServer({
    command: COMMAND,
    args: ["--model", "tiny", "--blocks", "0:8", "--tensor-parallel", "2", ...join.flatMap((at) => ["--join", at])]
  })

const generate = async (chain: Chain, head: Head, at: (token: number) => void = () => {}) => {
  const ids: Array<number> = []
  const logits: Array<Float32Array> = []
  let rows = await chain.forward(head.embed(PROMPT), "last")
  for (let token = 0; token < TOKENS; token++) {
    const row = await head.logits(rows)
    logits.push(row)
    ids.push(argmaxRow(row, 0, head.vocabSize))
    at(token)
    if (token + 1 < TOKENS) rows = await chain.forward(head.embed(ids.slice(-1)), "last")
  }
  return { ids, logits }
}

layer(Engine.layer, { excludeTestServices: true })("ranks as processes", (it) => {
  it.scoped(
    "SIGKILL of a rank: the server ends, and another continues to the bit",
    () =>
      Effect.gen(function* () {
        const model = yield* openModel("tiny")
        const head = yield* loadHead(model)
        const served = { digest: model.digest, name: model.name, blocks: model.blocks, hiddenSize: model.hiddenSize }
        const first = yield* start([])
        const second = yield* start([first.address])
        assert.strictEqual(first.online.digest, second.online.digest)
        assert.deepInclude(first.online, { ranks: 2, reproducible: true })
        const client = yield* Effect.provide(Swarm, yield* Layer.build(clientLayer([first.address, second.address])))
        const open = client.open({ model: served, maxTokens: PROMPT.length + TOKENS })
        const undisturbed = yield* Effect.flatMap(open, (chain) => Effect.promise(() => generate(chain, head)))

        const chain = yield* open
        const victim: ServerProcess | undefined = [first, second].find(({ peer }) => peer === chain.route()[0]?.peer)
        const rank = (victim?.online.pids as ReadonlyArray<number> | undefined)?.[1]
        assert.isDefined(rank)
        assert.notStrictEqual(rank, victim?.pid)
        const disturbed = yield* Effect.promise(() =>
          generate(chain, head, (token) => {
            if (token === 10) process.kill(rank ?? 0, "SIGKILL")
          })
        )
        assert.deepStrictEqual(disturbed, undisturbed)
        assert.strictEqual(chain.recoveries(), 1)
        yield* Effect.promise(() => victim?.ended ?? Promise.resolve())
      }),
    120_000
  )

  it.scoped(
    "a rank of another machine serves one server after the other",
    () =>
      Effect.gen(function* () {
        const rank = yield* startRank({ command: COMMAND, args: ["--model", "tiny"] })
        const serve = startServer({
          command: COMMAND,
          args: ["--model", "tiny", "--blocks", "2:5", "--tensor-parallel-peers", rank.address]
        })
        const digests: Array<unknown> = []
        for (let i = 0; i < 2; i++) {
          const { online } = yield* Effect.scoped(serve)
          assert.strictEqual(online.ranks, 2)
          digests.push(online.digest)
        }
        assert.strictEqual(digests[0], digests[1])
      }),
    60_000
  )

  it.scoped(
    "a rank ends with its server",
    () =>
      Effect.gen(function* () {
        const server = yield* start([])
        const rank = (server.online.pids as ReadonlyArray<number>)[1] ?? 0
        assert.isTrue(isAlive(rank))
        server.kill("SIGKILL")
        yield* Effect.promise(() => server.ended)
        while (isAlive(rank)) yield* Effect.sleep(20)
      }),
    60_000
  )
})

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
