/**
 * Stages of a model with several servers each, over emulated links on which sends of activations fail: the setting of
 * PETALS' table of failures (arXiv 2312.08361, Table 1).
 * @module
 */
import type { Chain } from "@swarm/client"
import { type Head, loadHead, loadSpan } from "@swarm/compute"
import type { Model } from "@swarm/model"
import { decodeFrame } from "@swarm/protocol"
import { makeTestSwarm } from "@swarm/testing"
import { emulated, layerMemory, makeLink } from "@swarm/transport"
import { Effect } from "effect"
import { argmax } from "./client.ts"

/** How a session deals with a failed send. */
export type Way =
  /** What this library does: a replacement is fed from the journal. */
  | "recovery"
  /** The generation is thrown away and begun again. */
  | "restart"
  /** Servers keep nothing between tokens: each is a pass over the whole text. */
  | "cacheless"

export interface LossySwarmOptions {
  readonly model: Model
  /** The boundaries of the stages: `[0, 8, 15, 23, 30]`. */
  readonly cuts: ReadonlyArray<number>
  /** Servers of each stage; they share the stage's loaded span. */
  readonly replicas: number
  /** One way, in milliseconds. */
  readonly latency: number
  /** Tokens of a session at most. */
  readonly maxTokens: number
  readonly seed?: number
}

/** A generation that came to its end. */
interface Generation {
  readonly ids: ReadonlyArray<number>
  readonly seconds: number
  /** Sends of activations, failed ones included, and those that failed. */
  readonly sends: number
  readonly failures: number
  /** Begun anew so often. */
  readonly restarts: number
}

/** What was done until the time was over, if it was. */
export type Attempt = Generation & { readonly finished: boolean }

export interface LossySwarm {
  readonly head: Head
  /** Probability from now on that one send of activations fails: the channel that it was sent on breaks at both ends. */
  readonly fail: (probability: number) => void
  /**
   * The likeliest `count` ids after `prompt`, by `way`. Gives up after `limitSeconds`: the ids are those of the attempt
   * under way then.
   */
  readonly generate: (
    way: Exclude<Way, "cacheless">,
    prompt: ReadonlyArray<number>,
    count: number,
    limitSeconds?: number
  ) => Promise<Attempt>
  /** Seconds of the pass that a cacheless token takes over a text, for each text. */
  readonly passes: (texts: ReadonlyArray<ReadonlyArray<number>>) => Promise<ReadonlyArray<number>>
}

/** Serves the model; everything ends with the scope. Needs the engine. */
export const makeLossySwarm = ({ model, cuts, replicas, latency, maxTokens, seed = 1 }: LossySwarmOptions) =>
  Effect.gen(function* () {
    let probability = 0
    let sends = 0
    let failures = 0
    const link = makeLink({
      latency,
      seed,
      loss: (message) => {
        const { kind } = decodeFrame(message)
        if (kind !== "step" && kind !== "output") return 0
        sends++
        return probability
      }
    })
    const swarm = yield* makeTestSwarm({
      blocks: model.blocks,
      hiddenSize: model.hiddenSize,
      maxTokens,
      transport: layerMemory.pipe(emulated(link))
    })
    for (const [stage, from] of cuts.slice(0, -1).entries()) {
      const span = yield* loadSpan(model, from, cuts[stage + 1] ?? model.blocks)
      for (let replica = 0; replica < replicas; replica++) yield* swarm.start(span)
    }
    const head = yield* loadHead(model)
    const client = yield* swarm.client

    /** One session; `lost` is called with each failure. */
    const session = <A>(chunk: number, lost: (chain: Chain) => void, use: (chain: Chain) => Promise<A>): Promise<A> =>
      Effect.runPromise(
        Effect.gen(function* () {
          const opened: { chain?: Chain } = {}
          opened.chain = yield* client.open({
            model: swarm.model,
            maxTokens,
            graceSeconds: 30,
            chunk,
            onEvent: ({ _tag }) => {
              if (_tag !== "FailureSeen") return
              failures++
              if (opened.chain !== undefined) lost(opened.chain)
            }
          })
          const { chain } = opened
          return yield* Effect.promise(() => use(chain))
        }).pipe(Effect.scoped)
      )

    const generate: LossySwarm["generate"] = async (way, prompt, count, limitSeconds = Number.POSITIVE_INFINITY) => {
      const began = performance.now()
      const before = { sends, failures }
      let ids: Array<number> = []
      let restarts = 0
      const seconds = () => (performance.now() - began) / 1000
      const attempt = async (chain: Chain): Promise<boolean> => {
        ids = []
        let rows = await chain.forward(head.embed(prompt), "last")
        while (seconds() < limitSeconds) {
          ids.push(argmax(await head.logits(rows)))
          if (ids.length === count) return true
          rows = await chain.forward(head.embed(ids.slice(-1)), "last")
        }
        return false
      }
      let finished: boolean | undefined
      while (finished === undefined) {
        if (way === "recovery") finished = await session(128, () => {}, attempt)
        else {
          let isLost = false
          const giveUp = (chain: Chain): void => {
            isLost = true
            void chain.close()
          }
          const orLost = (cause: unknown): undefined => {
            if (!isLost) throw cause
            restarts++
            return undefined
          }
          finished = await session(128, giveUp, (chain) => attempt(chain).catch(orLost))
        }
      }
      return {
        ids,
        seconds: seconds(),
        sends: sends - before.sends,
        failures: failures - before.failures,
        restarts,
        finished
      }
    }

    const swarmOf: LossySwarm = {
      head,
      fail: (next) => {
        probability = next
      },
      generate,
      passes: (texts) =>
        session(
          maxTokens,
          () => {},
          async (chain) => {
            const seconds: Array<number> = []
            for (const text of texts) {
              await chain.truncate(0)
              const began = performance.now()
              argmax(await head.logits(await chain.forward(head.embed(text), "last")))
              seconds.push((performance.now() - began) / 1000)
            }
            return seconds
          }
        )
    }
    return swarmOf
  })
