/**
 * `swarm demo`: a swarm of processes on this machine tells a story and loses a server half-way.
 * @module
 */
import { type ChainEvent, makeSession, type Token } from "@swarm/client"
import type { Model } from "@swarm/model"
import { openModel } from "@swarm/model"
import type { BlockRange } from "@swarm/protocol"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Parsed } from "../args.ts"
import { ownCommand, type ServerProcess, startServer } from "../children.ts"
import { routeField } from "../eventFields.ts"
import { engineLayer } from "../layers.ts"
import { CommandFailed, makeOutput, type Output } from "../output.ts"
import { paragraph } from "../paragraph.ts"
import { chainFigures, openRunnable, type Runnable } from "../sessions.ts"
import type { demo } from "../specs.ts"

const PROMPT = "Once upon a time there was a brave little dragon"
const TOKENS = 120
const MODEL = "tiny"
const SPANS = 3

/** Options of the numeric kind at their defaults. */
const DEFAULTS = {
  weights: undefined,
  group: undefined,
  activations: undefined,
  threads: undefined,
  "one-row": false,
  codec: "f32",
  "grace-seconds": undefined,
  mdns: false
} as const

export const run = ({ values }: Parsed<typeof demo.options>): Effect.Effect<void, unknown> =>
  Effect.gen(function* () {
    const output = makeOutput(values.json)
    const reference = values.model ?? MODEL
    const model = yield* openModel(reference)
    const prompt = model.tokenizer().encode(values.prompt ?? PROMPT)
    const maxTokens = Math.min(values["max-tokens"] ?? TOKENS, model.contextLength - prompt.length)
    if (maxTokens < 4)
      return yield* new CommandFailed({
        detail: `The prompt leaves no room in the ${model.contextLength} tokens of ${model.name}`
      })

    if (model.blocks < SPANS)
      return yield* new CommandFailed({
        detail: `${model.name} has ${model.blocks} blocks: too few for a chain of ${SPANS} servers`
      })

    title(output, model)
    const spans = cutOf(model.blocks)
    // cut as the chain is: elsewhere the last bits differ, and with int8 activations they grow into other tokens
    const undisturbed = yield* Effect.scoped(
      Effect.flatMap(openRunnable({ ...DEFAULTS, model: reference, join: [], local: true }, spans), (local) =>
        tell(local, prompt, maxTokens, () => {})
      )
    )
    // the model may end the story long before the greatest length
    const length = undisturbed.ids.length
    if (length < 2)
      return yield* new CommandFailed({
        detail: "The story ends at once, before a server can be lost: try another prompt"
      })
    const killAt = Math.min(values["kill-at"] ?? Math.ceil(length / 2), length - 1)
    const servers = yield* startServers(reference, spans, output)
    const remote = yield* openRunnable({
      ...DEFAULTS,
      model: reference,
      join: servers.map(({ address }) => address),
      local: false
    })
    const result = yield* perform(remote, servers, prompt, maxTokens, killAt, values.prompt ?? PROMPT, output)

    const identical =
      result.ids.length === undisturbed.ids.length && result.ids.every((id, i) => id === undisturbed.ids[i])
    finale(output, result, identical)
    if (!identical) return yield* new CommandFailed({ detail: "The text differs from that of an undisturbed run" })
  }).pipe(Effect.scoped, Effect.provide(engineLayer))

const title = (output: Output, model: Model) =>
  output.event(
    { event: "model", name: model.name, blocks: model.blocks, digest: model.digest },
    `\n${output.bold("A swarm on this machine")}\n${output.dim(`${model.name}: ${model.blocks} blocks, cut into three spans; the middle one is served twice`)}\n`
  )

/** Spans of about the same length. */
const cutOf = (blocks: number): readonly [BlockRange, BlockRange, BlockRange] => {
  const [first, second] = [Math.round(blocks / SPANS), Math.round((2 * blocks) / SPANS)]
  return [
    { from: 0, to: first },
    { from: first, to: second },
    { from: second, to: blocks }
  ]
}

/** A server for each span, two for the middle one. */
const startServers = (reference: string, [first, middle, last]: ReturnType<typeof cutOf>, output: Output) =>
  Effect.gen(function* () {
    const command = ownCommand()
    const start = ({ from, to }: BlockRange, join: ReadonlyArray<string>) =>
      startServer({
        command,
        args: ["--model", reference, "--blocks", `${from}:${to}`, ...join.flatMap((address) => ["--join", address])]
      })
    const head = yield* start(first, [])
    const others = yield* Effect.forEach([middle, middle, last], (span) => start(span, [head.address]), {
      concurrency: "unbounded"
    })
    const servers = [head, ...others]
    for (const { peer, address, blocks: span, pid } of servers)
      output.event({ event: "server", peer, address, blocks: span, pid })
    return servers
  })

interface Told {
  readonly ids: ReadonlyArray<number>
  readonly tokensPerSecond: number
}

/** Generates and hands each token on. */
const tell = (
  runnable: Runnable,
  prompt: ReadonlyArray<number>,
  maxTokens: number,
  onToken: (token: Token, index: number) => void,
  onEvent?: (event: ChainEvent) => void
) =>
  Effect.gen(function* () {
    const pipeline = yield* runnable.pipeline(prompt.length + maxTokens, onEvent)
    const session = makeSession({ pipeline, head: runnable.head, tokenizer: runnable.model.tokenizer() })
    const ids: Array<number> = []
    let firstAt = 0
    yield* session.generate(prompt, { maxTokens, temperature: 0, ignoreEos: false }).pipe(
      Stream.runForEach((token) =>
        Effect.sync(() => {
          if (ids.length === 0) firstAt = performance.now()
          ids.push(token.id)
          onToken(token, ids.length - 1)
        })
      )
    )
    const told: Told = { ids, tokensPerSecond: ((ids.length - 1) * 1000) / Math.max(1, performance.now() - firstAt) }
    return { ...told, figures: chainFigures(pipeline) }
  })

/** The story over the swarm, with the kill. */
const perform = (
  remote: Runnable,
  servers: ReadonlyArray<ServerProcess>,
  prompt: ReadonlyArray<number>,
  maxTokens: number,
  killAt: number,
  opening: string,
  output: Output
) =>
  Effect.gen(function* () {
    const text = paragraph((piece) => output.write(piece))
    let route: ReadonlyArray<string> = []
    const aside = (line: string) => output.write(text.aside(line))
    const onEvent = (event: ChainEvent) => {
      if (event._tag === "Opened") {
        route = event.hops.map(({ peer }) => peer)
        output.event({ event: "route", route: routeField(event.hops) }, picture(servers, route, output))
        text.push(output.dim(opening))
      } else if (event._tag === "ReplacementChosen") {
        output.event({
          event: "recovery",
          phase: "replacement",
          peers: event.hops.map(({ peer }) => peer),
          exact: event.exact
        })
        aside(output.dim(`   its twin takes over${event.exact ? "" : " (equivalent, not exact)"}`))
      } else if (event._tag === "Replayed") {
        output.event({ event: "recovery", phase: "replayed", tokens: event.tokens })
        aside(output.dim(`   and is fed the ${event.tokens} rows that the lost one had seen`))
      } else if (event._tag === "Resumed") {
        output.event({ event: "recovery", phase: "resumed", pauseMs: event.pauseMilliseconds, exact: event.exact })
        aside(output.green(`   the story goes on after ${Math.round(event.pauseMilliseconds)} ms`))
      } else if (event._tag === "FailureSeen")
        output.event({ event: "recovery", phase: "failure", peer: event.peer, reason: event.reason })
    }
    const onToken = (token: Token, index: number) => {
      text.push(token.text)
      output.event({ event: "token", id: token.id, text: token.text })
      if (index + 1 !== killAt) return
      const victim = servers.find(({ peer }) => peer === route[1])
      if (victim === undefined) return
      output.event({ event: "kill", peer: victim.peer, pid: victim.pid, blocks: victim.blocks, token: index + 1 })
      aside(output.red(`   ✗ SIGKILL to the middle server, process ${victim.pid}`))
      victim.kill("SIGKILL")
    }
    const told = yield* tell(remote, prompt, maxTokens, onToken, onEvent)
    text.end()
    return told
  })

/** The chain in text: the route above, the twin beside it. */
const picture = (servers: ReadonlyArray<ServerProcess>, route: ReadonlyArray<string>, output: Output): string => {
  const box = (server: ServerProcess) => `[${server.blocks[0]}:${server.blocks[1]} pid ${server.pid}]`
  const inRoute = route
    .map((peer) => servers.find((server) => server.peer === peer))
    .filter((server) => server !== undefined)
  const spare = servers.find(({ peer }) => !route.includes(peer))
  const line = `   you ─▶ ${inRoute.map(box).join(" ─▶ ")} ─▶ you`
  const second = inRoute[1]
  const under =
    spare === undefined || second === undefined
      ? ""
      : `\n${" ".repeat(line.indexOf(box(second)))}${output.dim(`${box(spare)} stands by`)}`
  return `${line}${under}\n`
}

const finale = (
  output: Output,
  { ids, tokensPerSecond, figures }: Told & { readonly figures: ReturnType<typeof chainFigures> },
  identical: boolean
) => {
  const pauseMs = figures.pausesMs[0] ?? 0
  output.event(
    { event: "done", identical, recoveries: figures.recoveries, pauseMs, tokens: ids.length, tokensPerSecond, ids },
    [
      "",
      `   ${ids.length} tokens, ${tokensPerSecond.toFixed(0)} per second; ${figures.recoveries} server lost, ${pauseMs} ms of pause`,
      identical
        ? output.green("   ✓ the same text as an undisturbed run in one process, token by token")
        : output.red("   ✗ not the text of an undisturbed run"),
      ""
    ].join("\n")
  )
}
