/**
 * Where a token's time goes in a chain: runs are timed in the servers, so that what is left is the way between them.
 * @module
 */
import { connect } from "node:net"
import * as path from "node:path"
import type { Chain } from "@swarm/client"
import { type Head, loadHead } from "@swarm/compute"
import { openModel } from "@swarm/model"
import { Effect } from "effect"
import { argmax, cuts, generate, makeClient, servedModel, someIds } from "./client.ts"
import { type Child, fromSources, type Line, repository, start } from "./processes.ts"
import { median } from "./statistics.ts"

/** Milliseconds, medians over the tokens. */
interface HopTimes {
  readonly servers: number
  /** From a row's leaving the client to its return. */
  readonly chain: number
  /** Of it in runs of the spans, all servers together. */
  readonly compute: number
  /** (chain - compute) / servers. */
  readonly overheadPerHop: number
  /** Embedding, output matrix and choice at the client. */
  readonly head: number
  /** From the wish to open a session to the first token behind a prompt of `SHORT` tokens. */
  readonly firstToken: number
  /** A token, head included, behind a prompt of `long` tokens. */
  readonly afterLong: number
  /** A raw TCP round trip to the first server of as many bytes as a row has on the wire, after as long a pause as a run takes. */
  readonly tcpRoundTrip: number
}

/** Tokens of a short prompt. */
export const SHORT = 16
/** First tokens, and tokens behind the long prompt. */
const TIMES = 16

/**
 * Generates `tokens` tokens through `servers` servers of equal spans, one stream; then first tokens of short prompts, and
 * some behind a prompt of `long` tokens. Needs the engine for the head.
 */
export const timeHops = (file: string, servers: number, tokens: number, long: number) =>
  Effect.gen(function* () {
    const model = yield* openModel(file)
    const head = yield* loadHead(model)
    const children = yield* Effect.forEach(cuts(model.blocks, servers), (cut) => timedServer(file, cut), {
      concurrency: "unbounded"
    })
    const client = yield* makeClient(children.map(({ address }) => address))
    const open = (maxTokens: number) => client.open({ model: servedModel(model), maxTokens })
    const chain = yield* open(SHORT + tokens)
    const prompt = someIds(SHORT, head.vocabSize)
    const byToken = yield* Effect.promise(async () => {
      // the first tokens load code and weights
      await generate(chain, head, prompt, Math.min(16, tokens))
      await Promise.all(children.map(takeRuns))
      await chain.truncate(0)
      const times = await generate(chain, head, prompt, tokens)
      const runs = await Promise.all(children.map(takeRuns))
      for (const found of runs)
        if (found.length !== tokens) throw new Error(`A server ran ${found.length} times for ${tokens} tokens`)
      const compute = times.forward.map((_, token) => runs.reduce((sum, found) => sum + (found[token] ?? 0), 0))
      const overhead = times.forward.map((whole, token) => (whole - (compute[token] ?? 0)) / servers)
      const pause = median(compute) / servers
      return {
        servers,
        chain: median(times.forward),
        compute: median(compute),
        overheadPerHop: median(overhead),
        head: median(times.head),
        tcpRoundTrip: await tcpRoundTrip(children[0]?.tcp ?? 0, 2 * model.hiddenSize, pause)
      }
    })
    const firstTokens: Array<number> = []
    for (let time = 0; time < TIMES; time++) {
      const began = performance.now()
      const opened = Effect.flatMap(open(SHORT + 1), (fresh) => Effect.promise(() => firstToken(fresh, head, prompt)))
      yield* Effect.scoped(Effect.map(opened, (ended) => firstTokens.push(ended - began)))
    }
    const longChain = yield* open(long + TIMES)
    const late = yield* Effect.promise(() => generate(longChain, head, someIds(long, head.vocabSize), TIMES))
    const times: HopTimes = {
      ...byToken,
      firstToken: median(firstTokens),
      afterLong: median(late.forward.map((forward, token) => forward + (late.head[token] ?? 0)))
    }
    return times
  }).pipe(Effect.scoped)

/** When the token that follows the prompt is known, on the process's monotonic clock. */
const firstToken = async (chain: Pick<Chain, "forward">, head: Head, prompt: ReadonlyArray<number>) => {
  argmax(await head.logits(await chain.forward(head.embed(prompt), "last")))
  return performance.now()
}

interface TimedServer {
  readonly child: Child
  readonly address: string
  readonly tcp: number
}

const timedServer = (file: string, [from, to]: readonly [number, number]) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const [program, ...flags] = fromSources
      return start(program, [...flags, path.join(repository, "bench/timedServer.ts"), file, String(from), String(to)])
    }),
    ({ kill }) => Effect.sync(kill)
  ).pipe(
    Effect.flatMap((child) => Effect.map(Effect.promise(child.line), (line) => ({ child, line }))),
    Effect.map(({ child, line }): TimedServer => ({ child, address: String(line.address), tcp: Number(line.tcp) }))
  )

const takeRuns = async ({ child }: TimedServer): Promise<ReadonlyArray<number>> => {
  child.send("\n")
  const { runs }: Line = await child.line()
  return Array.isArray(runs) ? runs.map(Number) : []
}

/**
 * Median milliseconds of 64 round trips of `bytes` bytes, `pause` milliseconds of computing before each: both ends of a hop
 * are as asleep as they are between tokens, and waking them is part of any message's cost.
 */
const tcpRoundTrip = async (port: number, bytes: number, pause: number): Promise<number> => {
  const socket = connect(port, "127.0.0.1").setNoDelay()
  try {
    await new Promise((resolve, reject) => socket.once("connect", resolve).once("error", reject))
    const message = Buffer.alloc(bytes, 1)
    const times: Array<number> = []
    for (let trip = 0; trip < 64; trip++) {
      for (const until = performance.now() + pause; performance.now() < until; );
      const left = performance.now()
      let missing = bytes
      await new Promise<void>((resolve) => {
        const take = (piece: Buffer) => {
          missing -= piece.length
          if (missing > 0) return
          socket.off("data", take)
          resolve()
        }
        socket.on("data", take)
        socket.write(message)
      })
      times.push(performance.now() - left)
    }
    return median(times)
  } finally {
    socket.destroy()
  }
}
