/**
 * `swarm serve`: a server, or several in one process.
 * @module
 */
import type { GroupFailed } from "@swarm/compute"
import { Discovery, reachable } from "@swarm/discovery"
import { kvBytesPerToken, type Model } from "@swarm/model"
import type { BlockRange } from "@swarm/protocol"
import { type Server, serve as serveSpan } from "@swarm/server"
import { Network } from "@swarm/transport"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { type Parsed, UsageError } from "../args.ts"
import { keepPlaced } from "../keepPlaced.ts"
import { assertFree, engineLayer, isElsewhere, serverLayer } from "../layers.ts"
import { withLoadProgress } from "../loadProgress.ts"
import { assertShared, loadServed } from "../loadServed.ts"
import { serverMember } from "../membership.ts"
import { given, spanOptions } from "../numerics.ts"
import { makeOutput, type Output, size } from "../output.ts"
import { bytesPerBlock, chooseBlocks, chooseMove, countThatFits, isServed, likelyRate } from "../place.ts"
import { listenAt, rangesOf } from "../ranges.ts"
import { ratesOf } from "../rates.ts"
import { modelOf, refuseEncoder } from "../sessions.ts"
import type { serve } from "../specs.ts"
import { stopped } from "../stopped.ts"
import { version } from "../version.ts"

type Values = Parsed<typeof serve.options>["values"]

/** Sessions are no longer than this by default, whatever the model could do. */
const MOST_TOKENS = 4096
/** Mean time between two looks at whether to move. */
const BALANCE_SECONDS = 60
/** Servers that start together look at the swarm one after the other. */
const JOIN_JITTER_SECONDS = 1
/** Tokens that the KV caches must hold at least. */
const LEAST_TOKENS = 16
/** What is said before blocks are loaded lasts so long at least. */
const JOINING_SECONDS = 30
const LISTEN = "ws://127.0.0.1:0"

export const run = ({ values }: Parsed<typeof serve.options>): Effect.Effect<void, unknown> =>
  Effect.gen(function* () {
    const output = makeOutput(values.json)
    const model = yield* modelOf(values)
    yield* refuseEncoder(model, "served: the steps of a swarm are parts of a text")
    const ranges = yield* rangesOf(values.blocks ?? "auto", model.blocks)
    if (ranges.length > 1 && values.announce.length > 0)
      return yield* Effect.fail(
        new UsageError("--announce takes one range of --blocks: each range has its own address")
      )
    if (ranges.length > 1 && values["tensor-parallel-peers"].length > 0)
      return yield* Effect.fail(new UsageError("--tensor-parallel-peers takes one range of --blocks"))
    if (values.mdns && !(values.listen ?? LISTEN).startsWith("/"))
      return yield* Effect.fail(new UsageError("--mdns takes --listen /ip4/0.0.0.0/tcp/7000, or another of libp2p"))
    const servers: Array<() => Server> = []
    // without a rank nothing can be computed: clients move when the connections close
    const groupLost = yield* Deferred.make<never, GroupFailed>()
    const onLost = (fault: GroupFailed) => Effect.runSync(Deferred.fail(groupLost, fault))
    for (const [index, wanted] of ranges.entries()) {
      const listen = listenAt(values.listen ?? LISTEN, index)
      const join = [...values.join, ...directory(servers)]
      if (wanted === "auto") servers.push((yield* keepAuto(values, model, output, onLost)).current)
      else {
        const server = yield* start(values, model, wanted, { listen, join, index, onLost }, output)
        servers.push(() => server)
      }
    }
    yield* Effect.raceFirst(stopped(values.parent), Deferred.await(groupLost))
    output.note("draining")
    yield* Effect.all(
      servers.map((server) => server().drain),
      { concurrency: "unbounded" }
    )
    if (output.isJson) output.event({ event: "stopped" })
  }).pipe(Effect.scoped, Effect.provide(engineLayer))

interface Place {
  readonly listen: string
  /** The directories to announce to. */
  readonly join: ReadonlyArray<string>
  /** Of the range in this process. */
  readonly index: number
  /** Whether the server goes where it is needed. */
  readonly isKept?: boolean
  /** Called when a rank of the server is lost. */
  readonly onLost: (fault: GroupFailed) => void
}

/** The first server of this process is a directory for the others: whoever asks it hears of all ranges. */
const directory = ([first]: ReadonlyArray<() => Server>): ReadonlyArray<string> =>
  first === undefined ? [] : [first().address]

/** A server that goes where it is needed. The first one of a swarm stays: others found the swarm by its address. */
const keepAuto = (values: Values, model: Model, output: Output, onLost: Place["onLost"]) => {
  const count = counter(values, model)
  const stays = values.join.length === 0 && !values.mdns
  return keepPlaced({
    start: (range, turn) => {
      // while it moves both servers listen; a port that was given and the one after it take turns
      const listen = listenAt(values.listen ?? LISTEN, turn % 2)
      return start(
        values,
        model,
        range ?? "auto",
        { listen, join: values.join, index: turn % 2, onLost, isKept: true },
        output
      )
    },
    wish: (server) =>
      stays
        ? Effect.succeed(undefined)
        : Effect.map(server.look, (others) => chooseMove(others, server.announcement(), model, count())),
    isBroken: (server) => !stays && !isServed([...server.known(), server.announcement()], model),
    holders: (server, { from, to }) =>
      Effect.map(server.look, (others) =>
        others.filter(({ blocks }) => blocks.from === from && blocks.to === to).map(({ peer }) => peer)
      ),
    meanSeconds: values["balance-seconds"] ?? BALANCE_SECONDS,
    onMoved: (from, to) => {
      const [before, after] = [from.announcement().blocks, to.announcement().blocks]
      output.event(
        {
          event: "moved",
          from: [before.from, before.to],
          to: [after.from, after.to],
          peer: to.peer,
          address: to.address
        },
        `moved   from ${before.from}:${before.to} to ${after.from}:${after.to}, where the swarm is weakest`
      )
    },
    onFailed: ({ from, to }, cause) =>
      output.note(`cannot move to ${from}:${to}: ${cause instanceof Error ? cause.message : String(cause)}`)
  })
}

const sessionTokens = (values: Values, model: Model): number =>
  Math.min(values["max-tokens"] ?? MOST_TOKENS, model.contextLength)

/** Refuses a memory for KV caches that holds no text worth mentioning. */
const assertHoldsSomething = (values: Values, model: Model, blocks: number) => {
  const bytes = values["kv-memory"] ?? Number.POSITIVE_INFINITY
  const tokenBytes = kvBytesPerToken(model.architecture) * blocks
  if (bytes >= LEAST_TOKENS * tokenBytes) return Effect.void
  const text = `--kv-memory of ${size(bytes)} is too small: a token takes ${size(tokenBytes)}, the longest session ${size(tokenBytes * sessionTokens(values, model))}`
  return Effect.fail(new UsageError(text))
}

/** How many blocks a server of `--blocks auto` can take now. The checkpoint is looked at once. */
const counter = (values: Values, model: Model): (() => number) => {
  const most = values["max-blocks"] ?? model.blocks
  let blockBytes: number | undefined
  return () => {
    blockBytes ??= bytesPerBlock(model.span(0, model.blocks, spanOptions(values)))
    const needs = { blockBytes, maxTokens: sessionTokens(values, model), kvBytes: values["kv-memory"] }
    return Math.min(most, countThatFits(model, needs))
  }
}

/** Loads and serves one range. */
const start = (
  values: Values,
  model: Model,
  wanted: BlockRange | "auto",
  { listen, join, index, onLost, isKept = false }: Place,
  output: Output
) =>
  Effect.gen(function* () {
    const started = performance.now()
    yield* assertFree(listen)
    const member = yield* serverMember(values, listen, index)
    const context = yield* Layer.build(serverLayer({ join, member, listen, model: model.digest, mdns: values.mdns }))
    const { from, to } = wanted === "auto" ? yield* Effect.provide(chooseAuto(values, model), context) : wanted
    yield* assertShared(values, model, { from, to })
    yield* assertHoldsSomething(values, model, to - from)
    if (isKept && (join.length > 0 || values.mdns))
      yield* Effect.provide(sayJoining(values, model, { from, to }, listen), context)
    output.progress({ event: "loading", blocks: [from, to] }, `loading blocks ${from}:${to} of ${model.name}`)
    const phase = (name: string, text: string, fields: Record<string, unknown> = {}) =>
      output.progress({ event: "progress", phase: name, ...fields }, text)
    const watched = withLoadProgress(model, (done, of) => {
      phase("weights", `reading weights: block ${done} of ${of}`, { done, of })
      if (done === of) phase("packing", "packing weights for this processor, once")
    })
    const { span, ranks, pids, lost } = yield* loadServed(values, watched, { from, to })
    void lost?.then(onLost)
    const shard = ranks === 1 ? {} : { shard: { rank: 0, ranks } }
    for (const note of model.span(from, to, { ...spanOptions(values), ...shard }).notes) output.note(note)
    phase("measuring", "measuring")
    const server = yield* serveSpan({
      model: { digest: model.digest, name: model.name, blocks: model.blocks },
      span,
      rates: yield* Effect.promise(() => ratesOf(span, values.threads ?? 1)),
      listen,
      maxTokens: sessionTokens(values, model),
      version,
      ...(values.announce.length === 0 ? {} : { announce: values.announce }),
      ...given({
        kvBytes: values["kv-memory"],
        idleSeconds: values["idle-seconds"],
        drainSeconds: values["drain-seconds"]
      })
    }).pipe(Effect.provide(context))
    const { decodeRate, prefillRate } = server.announcement()
    const seconds = (performance.now() - started) / 1000
    const { digest, reproducible, weightBytes, kvBytesPerToken } = span
    output.event(
      {
        event: "online",
        address: server.address,
        addresses: server.addresses,
        peer: server.peer,
        blocks: [from, to],
        model: model.digest,
        digest,
        reproducible,
        ...(ranks === 1 ? {} : { ranks, pids }),
        weightBytes,
        kvBytesPerToken,
        decodeRate,
        prefillRate,
        seconds
      },
      [
        `online  ${output.bold(server.address)}`,
        `        blocks ${from}:${to} of ${model.name}, weights ${size(weightBytes)}, ${Math.round(decodeRate / (to - from))} tokens/s, ready after ${seconds.toFixed(1)} s`,
        ...joining(server.addresses)
      ].join("\n")
    )
    if (join.some(isElsewhere) && !server.addresses.some(isElsewhere))
      output.note(
        `${server.address} cannot be dialled from other machines: give --listen ws://0.0.0.0:PORT or --announce`
      )
    if (join.length > 0) yield* Effect.forkScoped(Effect.provide(warnIfAlone(output), context))
    return server
  })

/** How others join: by any of the addresses, the likeliest first. */
const joining = ([first, ...others]: ReadonlyArray<string>): ReadonlyArray<string> => [
  `        join with --join ${first}${others.length === 0 ? "" : `, or by ${others.join(" or ")}`}`,
  ...(first !== undefined && !isElsewhere(first)
    ? ["        from this machine only: --listen ws://0.0.0.0:PORT opens it to others"]
    : [])
]

/** A server may start before those it joins, and goes on trying; but a mistyped address should not go unnoticed. */
const warnIfAlone = (output: Output) =>
  Effect.flatMap(Discovery, ({ refresh }) =>
    Effect.catchAll(refresh, ({ message }) => Effect.sync(() => output.note(`${message}; still trying`)))
  )

/** Chooses blocks, among those who are there. */
const chooseAuto = (values: Values, model: Model) =>
  Effect.gen(function* () {
    const discovery = yield* Discovery
    const network = yield* Network
    const count = counter(values, model)()
    if (values.join.length === 0 && !values.mdns) return chooseBlocks([], model, count)
    yield* Effect.sleep(1000 * JOIN_JITTER_SECONDS * Math.random())
    // the first of a LAN finds nobody; a busy directory answers when it is asked again
    const refresh = Effect.retry(discovery.refresh, { times: 2 })
    yield* values.join.length === 0 ? Effect.ignore(refresh) : refresh
    const known = discovery.known()
    const there = new Set(yield* reachable(network, known))
    const gone = new Set(known.flatMap((other) => (there.has(other) ? [] : [other.peer])))
    // who came meanwhile has said so
    yield* Effect.ignore(refresh)
    return chooseBlocks(
      discovery.known().filter(({ peer }) => !gone.has(peer)),
      model,
      count
    )
  })

/** Says which blocks will be served before they are loaded: who comes or moves at the same time goes elsewhere. */
const sayJoining = (values: Values, model: Model, blocks: BlockRange, listen: string) =>
  Effect.gen(function* () {
    const discovery = yield* Discovery
    const network = yield* Network
    const rate = likelyRate(discovery.known())
    yield* discovery.announce({
      peer: network.self,
      addresses: values.announce.length > 0 ? values.announce : [listen],
      model: model.digest,
      modelName: model.name,
      modelBlocks: model.blocks,
      blocks,
      state: "joining",
      decodeRate: rate,
      prefillRate: rate,
      digest: "",
      freeTokens: 0,
      maxTokens: sessionTokens(values, model),
      sessions: 0,
      queue: 0,
      version,
      timeToLive: JOINING_SECONDS
    })
  })
