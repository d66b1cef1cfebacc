/**
 * The kill matrix with real processes: `swarm serve` children, SIGKILL and SIGSTOP, SmolLM2 with int8 activations. Ids
 * must be those of the undisturbed run, and so must every logit, to the bit.
 */
import * as path from "node:path"
import { assert, layer } from "@effect/vitest"
import type { ServerProcess } from "@swarm/cli"
import { type Chain, type ChainEvent, localPipeline, type Pipeline } from "@swarm/client"
import { loadHead, loadSpan, type Span } from "@swarm/compute"
import * as Engine from "@swarm/engine"
import { openModel } from "@swarm/model"
import { decodeRows, encodeRows } from "@swarm/quant"
import { openSafetensors } from "@swarm/tensor"
import { Effect } from "effect"
import { describe, it } from "vitest"
import { generateGreedily } from "./support/greedy.ts"
import { clientOf, served, startBlocks } from "./support/servers.ts"
import { smollm2 } from "./support/smollm2.ts"
import { integers } from "./support/tensors.ts"

const CUTS = [
  [0, 10],
  [10, 20],
  [20, 30]
] as const
const TOKENS = 16
/** Rounds of each cell; `SWARM_KILL_ROUNDS=10` is the whole matrix. */
const ROUNDS = Number(process.env.SWARM_KILL_ROUNDS ?? 2)
const expected = openSafetensors(path.join(import.meta.dirname, "fixtures/smollm2/expected.safetensors"))
/** 505 tokens: with those generated, a journal of about 512. */
const LONG = integers(expected, "long.ids")
const OTHERS = ["story", "chat", "code"].map((name) => integers(expected, `${name}.ids`))

type Phase = "connect" | "prefill" | "decode"

const start = (blocks: readonly [number, number], join: ReadonlyArray<string>) =>
  startBlocks(smollm2 ?? "", blocks, join)

if (smollm2 === undefined) describe.skip("kill matrix (the model is not there)", () => it.todo("all of it"))
else
  layer(Engine.layer, { excludeTestServices: true })("kill matrix", (it) => {
    it.scoped(
      "hop x phase x SIGKILL, and SIGSTOP, with three other sessions in the same batches",
      () =>
        Effect.gen(function* () {
          const model = yield* openModel(smollm2 ?? "")
          const head = yield* loadHead(model)
          const undisturbed = yield* Effect.scoped(
            Effect.gen(function* () {
              const spans = yield* Effect.forEach(CUTS, ([from, to]) => loadSpan(model, from, to))
              const whole = (prompt: ReadonlyArray<number>) =>
                Effect.promise(() => generateGreedily(wired(spans, prompt.length + TOKENS), head, prompt, TOKENS))
              return { long: yield* whole(LONG), others: yield* Effect.forEach(OTHERS, whole) }
            })
          )
          const first = yield* start(CUTS[0], [])
          const running: Array<ServerProcess> = [
            first,
            ...(yield* Effect.forEach([CUTS[1], CUTS[2], ...CUTS], (cut) => start(cut, [first.address])))
          ]
          const pauses: Array<number> = []

          const cell = (hop: number, phase: Phase, signal: "SIGKILL" | "SIGSTOP", withOthers: boolean) =>
            Effect.scoped(
              Effect.gen(function* () {
                const client = yield* clientOf(running)
                const events: Array<ChainEvent> = []
                const open = client.open({
                  model: served(model),
                  maxTokens: LONG.length + TOKENS,
                  onEvent: (event) => events.push(event)
                })
                const victimOf = (chain: Chain) => running.find(({ peer }) => peer === chain.route()[hop]?.peer)
                const others = yield* Effect.forEach(withOthers ? OTHERS : [], (prompt) =>
                  Effect.map(client.open({ model: served(model), maxTokens: prompt.length + TOKENS }), (chain) => ({
                    chain,
                    prompt
                  }))
                )
                let chain: Chain
                let victim: ServerProcess | undefined
                if (phase === "connect") {
                  // known to the client, then gone before the session opens
                  victim = victimOf(yield* Effect.scoped(open))
                  victim?.kill(signal)
                  chain = yield* open
                } else {
                  chain = yield* open
                  victim = victimOf(chain)
                }
                assert.isDefined(victim)
                if (phase === "prefill") setTimeout(() => victim?.kill(signal), 150)
                const strike = (token: number) => {
                  if (phase === "decode" && token === 5) victim?.kill(signal)
                }
                const [got, ...rest] = yield* Effect.all(
                  [
                    Effect.promise(() => generateGreedily(chain, head, LONG, TOKENS, strike)),
                    ...others.map(({ chain, prompt }) =>
                      Effect.promise(() => generateGreedily(chain, head, prompt, TOKENS))
                    )
                  ],
                  { concurrency: "unbounded" }
                )
                const name = `hop ${hop}, ${phase}, ${signal}${withOthers ? ", with others" : ""}`
                assert.deepStrictEqual(got?.ids, undisturbed.long.ids, name)
                assert.deepStrictEqual(got?.logits, undisturbed.long.logits, `${name}: logits to the bit`)
                for (const [index, other] of rest.entries()) {
                  assert.deepStrictEqual(other.ids, undisturbed.others[index]?.ids, `${name}: other session ${index}`)
                  assert.deepStrictEqual(
                    other.logits,
                    undisturbed.others[index]?.logits,
                    `${name}: logits of session ${index}`
                  )
                }
                if (phase === "decode" && signal === "SIGKILL") pauses.push(...chain.pauses())
                victim?.kill("SIGKILL")
                yield* Effect.promise(() => victim?.ended ?? Promise.resolve())
                // a new one takes the place, in the outer scope
                return victim
              })
            ).pipe(
              Effect.flatMap((victim) =>
                Effect.gen(function* () {
                  if (victim === undefined) return
                  const at = running.indexOf(victim)
                  const alive = running.filter((server) => server !== victim).map(({ address }) => address)
                  running[at] = yield* start([victim.blocks[0], victim.blocks[1]], alive)
                })
              )
            )

          for (let round = 0; round < ROUNDS; round++) {
            for (const hop of [0, 1, 2])
              for (const phase of ["connect", "prefill", "decode"] as const)
                yield* cell(hop, phase, "SIGKILL", round % 2 === 1)
          }
          for (const hop of [0, 1, 2]) yield* cell(hop, "decode", "SIGSTOP", false)
          pauses.sort((a, b) => a - b)
          const quantile = (q: number) =>
            (pauses[Math.min(pauses.length - 1, Math.floor(q * pauses.length))] ?? Number.NaN).toFixed(0)
          console.log(
            `kill matrix: ${9 * ROUNDS} SIGKILL and 3 SIGSTOP, all to the bit; pause in decode at ${LONG.length} tokens: p50 ${quantile(0.5)} ms, p95 ${quantile(0.95)} ms of ${pauses.length}`
          )
        }),
      900_000
    )
  })

/** Like the swarm: what goes from span to span and back is rounded to f16 on the way. */
const wired = (spans: Parameters<typeof localPipeline>[0], maxTokens: number): Pipeline =>
  localPipeline(spans.map(rounded), maxTokens)

const overWire = (x: Float32Array, hidden: number): Float32Array => {
  const { codec, payload } = encodeRows("f16", x, hidden)
  return decodeRows(codec, payload, x.length / hidden, hidden)
}

const rounded = (span: Span): Span => ({
  ...span,
  run: async (steps, x) => overWire(await span.run(steps, overWire(x, span.hiddenSize)), span.hiddenSize)
})
