/**
 * Brings a chain back to work: finds out who lives, replaces who does not, feeds everybody from the journals.
 * @module
 */
import type { Journal } from "@swarm/cache"
import type { Service as Discovery } from "@swarm/discovery"
import type { Announcement, BlockRange, Fault } from "@swarm/protocol"
import { rowBytes } from "@swarm/quant"
import type { Hop, NoRoute, Service as Router } from "@swarm/routing"
import * as Effect from "effect/Effect"
import { BlocksUnserved, type ClientError, SessionClosed, SessionRefused, TooManyFailures } from "./ClientError.ts"
import type { ChainEvent } from "./Event.ts"
import {
  closeHop,
  faultOf,
  holdHop,
  linkTo,
  type OpenHop,
  type OpenRequest,
  openHop,
  PING_SECONDS,
  relinkHop
} from "./hops.ts"
import type { Links } from "./Links.ts"
import { lineRate } from "./lineRate.ts"
import { type HopRepair, planRepair } from "./repairPlan.ts"

/** What a repair works with. */
export interface RepairTools {
  readonly links: Links
  readonly router: Router
  readonly discovery: Discovery
  readonly newJournal: () => Journal
  /** The chain of the session before. */
  readonly previous?: ReadonlyArray<Hop>
  readonly model: {
    readonly digest: string
    readonly name: string
    readonly blocks: number
    readonly hiddenSize: number
  }
  readonly graceSeconds: number
  /** Tokens of one step of a prompt; of a replay twice as many. */
  readonly chunk: number
  readonly emit: (event: ChainEvent) => void
}

export interface RepairRequest {
  readonly open: OpenRequest
  /** The hops as they were; empty for a new chain. */
  readonly hops: ReadonlyArray<OpenHop>
  /** Why hops are given up, by session name. Those not named are asked. */
  readonly lost: ReadonlyMap<string, Fault>
  /** Peers that leave of their own accord: not to be used again, though they are no failures. */
  readonly leaving: ReadonlySet<string>
  /** Tokens whose outputs have been received. */
  readonly received: () => number
  /** Rows from here on are to be forgotten by everybody, copies that are still on their way included. */
  readonly forgetFrom: number | undefined
  /** Rows wanted of replayed steps. */
  readonly want: "all" | "last"
  /** Listens to a hop's frames before any can come. */
  readonly adopt: (hop: OpenHop) => void
  /** The hop is not of the chain any more. */
  readonly drop: (hop: OpenHop) => void
  /** The chain as it is from now on: rows may come at once. `exact`: every replacement computes to the bit what was lost. */
  readonly place: (hops: ReadonlyArray<OpenHop>, epoch: number, exact: boolean) => void
  /** Nobody waits for the chain any more. */
  readonly stopped: () => boolean
}

/** Rounds of one repair: each ends with a chain, or with one more hop known as lost. */
const ROUNDS = 12
/** Pause between looks for a server that may come, in milliseconds. */
const LOOK_MILLISECONDS = 250

/** A hop that keeps its place, with its position, or a place to fill. */
type Place = { readonly kept: OpenHop; readonly computed: number } | { readonly lost: OpenHop }

/**
 * Makes a working chain, at `request.open.epoch` or a later one, and hands it to `request.place`. Returns how many hops are new.
 * Fails with `BlocksUnserved` once the grace time is over, `SessionRefused` if a server refuses for good.
 */
export const repair = (tools: RepairTools, request: RepairRequest): Effect.Effect<number, ClientError> =>
  Effect.gen(function* () {
    const lost = new Map(request.lost)
    let hops = request.hops
    let exact = true
    let last = "no attempt"
    let epoch = request.open.epoch
    let replaced = 0
    for (let round = 0; round < ROUNDS; round++, epoch++) {
      const started = performance.now()
      const places = yield* survey(tools, hops, lost, epoch)
      const filled = yield* fill(tools, { ...request, open: { ...request.open, epoch } }, places)
      if (filled.replaced.length > 0) {
        exact &&= filled.exact
        replaced += filled.replaced.length
        tools.emit({
          _tag: "ReplacementChosen",
          hops: filled.replaced,
          exact: filled.exact,
          milliseconds: performance.now() - started
        })
      }
      hops = filled.hops.map(({ open }) => open)
      if (request.forgetFrom !== undefined) for (const { journal } of hops) journal.truncate(request.forgetFrom)
      request.place(hops, epoch, exact)
      const states = filled.hops.map(({ open, computed }) => ({ computed, journaled: open.journal.end() }))
      const plan = planRepair(states, request.received())
      const broken = yield* Effect.promise(() => relinkAll(tools.discovery.known(), hops, plan, epoch))
      if (broken === undefined) {
        const replay = yield* Effect.promise(() => feed(tools, hops, plan, epoch, request.want))
        if (replay.broken === undefined) {
          if (replay.tokens > 0)
            tools.emit({ _tag: "Replayed", tokens: replay.tokens, milliseconds: replay.milliseconds })
          return replaced
        }
        lost.set(replay.broken.open.session, replay.broken.fault)
        last = replay.broken.fault.detail
      } else {
        lost.set(broken.open.session, broken.fault)
        last = broken.fault.detail
      }
    }
    return yield* new TooManyFailures({ attempts: ROUNDS, detail: last })
  })

/** Asks every hop that is not known as lost where it stands. */
const survey = (tools: RepairTools, hops: ReadonlyArray<OpenHop>, lost: Map<string, Fault>, epoch: number) =>
  Effect.forEach(
    hops,
    (open): Effect.Effect<Place> =>
      Effect.gen(function* () {
        let fault = lost.get(open.session)
        if (fault === undefined) {
          const answer = yield* Effect.promise(() => holdHop(open, epoch).catch(faultOf))
          if (typeof answer === "number") return { kept: open, computed: answer }
          fault = answer
        }
        // an idle server that dropped the session is no worse a server for it
        if (fault.code !== "expired" && fault.code !== "unknown-session" && fault.code !== "draining") {
          yield* tools.router.report(open.hop.peer, { _tag: "Failed", detail: fault.detail })
        }
        return { lost: open }
      }),
    { concurrency: "unbounded" }
  )

interface Filled {
  readonly hops: ReadonlyArray<{ readonly open: OpenHop; readonly computed: number }>
  readonly replaced: ReadonlyArray<Hop>
  readonly exact: boolean
}

/** Opens replacements for every run of lost places. */
const fill = (
  tools: RepairTools,
  request: RepairRequest,
  places: ReadonlyArray<Place>
): Effect.Effect<Filled, ClientError> =>
  Effect.gen(function* () {
    const hops: Array<{ open: OpenHop; computed: number }> = []
    const replaced: Array<Hop> = []
    let exact = true
    let index = 0
    if (places.length === 0) {
      const opened = yield* openRange(tools, request, { from: 0, to: tools.model.blocks }, [])
      return { hops: opened.map((open) => ({ open, computed: 0 })), replaced: [], exact: true }
    }
    while (index < places.length) {
      const place = places[index] as Place
      if ("kept" in place) {
        hops.push({ open: place.kept, computed: place.computed })
        index++
        continue
      }
      const gap: Array<OpenHop> = []
      for (let at = places[index]; at !== undefined && "lost" in at; at = places[++index]) gap.push(at.lost)
      for (const open of gap) request.drop(open)
      const first = gap[0] as OpenHop
      const final = gap.at(-1) as OpenHop
      const opened = yield* openRange(tools, request, { from: first.hop.blocks.from, to: final.hop.blocks.to }, gap)
      const kept = new Set(opened.map((open) => open.journal))
      for (const { journal } of gap) if (!kept.has(journal)) journal.close()
      exact &&=
        opened.length === gap.length && opened.every((open, at) => open.reproducible && open.digest === gap[at]?.digest)
      replaced.push(...opened.map((open) => open.hop))
      hops.push(...opened.map((open) => ({ open, computed: 0 })))
    }
    return { hops, replaced, exact }
  })

/** Finds and opens servers for a range, waiting for one to come as long as the grace time lasts. */
const openRange = (
  tools: RepairTools,
  request: RepairRequest,
  blocks: BlockRange,
  gap: ReadonlyArray<OpenHop>
): Effect.Effect<ReadonlyArray<OpenHop>, ClientError> =>
  Effect.gen(function* () {
    const { router, model, graceSeconds } = tools
    const started = performance.now()
    const waited = () => (performance.now() - started) / 1000
    const left = () => Math.max(0, graceSeconds - waited()) * 1000
    const exclude = new Set(request.leaving)
    const refusals = new Map<string, string>()
    let waiting = false
    let failures = 0
    for (;;) {
      if (request.stopped()) return yield* new SessionClosed()
      const digest = gap.length === 1 ? gap[0]?.digest : undefined
      const route = yield* Effect.either(
        router.route({
          model: model.digest,
          blocks,
          tokens: request.open.maxTokens,
          bytes: rowBytes(request.open.codec, model.hiddenSize),
          exclude: [...exclude],
          ...(digest === undefined ? {} : { digest }),
          ...(gap.length > 0 || tools.previous === undefined ? {} : { previous: tools.previous })
        })
      )
      if (route._tag === "Right") {
        const opened = yield* openAll(tools, request, route.right, gap)
        if (opened._tag === "Opened") return opened.hops
        const { hop, fault } = opened.failure
        refusals.set(hop.peer, fault.detail)
        if (fault.kind === "never") return yield* new SessionRefused({ peer: hop.peer, fault })
        if (fault.kind === "later") yield* router.report(hop.peer, { _tag: "Busy", retryAfter: fault.retryAfter ?? 1 })
        else if (fault.code === "next-gone" || fault.code === "deadline")
          yield* router.report(hop.peer, { _tag: "Failed", detail: fault.detail })
        else exclude.add(hop.peer)
        // whatever the router makes of a report: what fails now is not tried again
        if (waited() >= graceSeconds) exclude.add(hop.peer)
        if (failures++ > 2) yield* Effect.sleep(Math.min(LOOK_MILLISECONDS, left()))
        continue
      }
      if (waited() >= graceSeconds) return yield* unserved(tools, route.left, waited(), refusals)
      if (!waiting) tools.emit({ _tag: "Waiting", missing: route.left.missing, graceSeconds })
      waiting = true
      // directories may be gone too: their silence must not use up the grace time, nor make it longer
      yield* tools.discovery.refresh.pipe(Effect.timeout(Math.min(1000, left())), Effect.ignore)
      yield* Effect.sleep(Math.min(LOOK_MILLISECONDS, left()))
    }
  })

/** Why servers were left out: what they said themselves, or what routing says. */
const unserved = (tools: RepairTools, route: NoRoute, waited: number, refusals: ReadonlyMap<string, string>) => {
  const leftOut = route.banned.map((entry) => ({ ...entry, reason: refusals.get(entry.peer) ?? entry.reason }))
  return new BlocksUnserved({ model: tools.model.name, missing: route.missing, banned: leftOut, waited })
}

type Opening =
  | { readonly _tag: "Opened"; readonly hops: ReadonlyArray<OpenHop> }
  | { readonly _tag: "Failed"; readonly failure: { readonly hop: Hop; readonly fault: Fault } }

const openAll = (
  tools: RepairTools,
  request: RepairRequest,
  route: ReadonlyArray<Hop>,
  gap: ReadonlyArray<OpenHop>
): Effect.Effect<Opening> =>
  Effect.gen(function* () {
    const results = yield* Effect.forEach(
      route,
      (hop) => {
        // a hop that starts where a lost one did has the same inputs
        const inherited = gap.find((open) => open.hop.blocks.from === hop.blocks.from)?.journal
        const journal = inherited ?? tools.newJournal()
        return openHop(tools.links, hop, request.open, journal).pipe(
          Effect.tapError(() => Effect.sync(() => inherited === undefined && journal.close())),
          Effect.either
        )
      },
      { concurrency: "unbounded" }
    )
    const hops = results.flatMap((result) => (result._tag === "Right" ? [result.right] : []))
    const failed = results.find((result) => result._tag === "Left")
    if (failed === undefined || failed._tag !== "Left") {
      for (const hop of hops) request.adopt(hop)
      yield* Effect.forkDaemon(measure(tools, hops))
      return { _tag: "Opened", hops }
    }
    for (const hop of hops) {
      if (!gap.some((open) => open.journal === hop.journal)) hop.journal.close()
      yield* Effect.promise(() => closeHop(hop))
    }
    return { _tag: "Failed", failure: failed.left }
  })

/** Tells the router how far new hops are. Nobody waits for it. */
const measure = (tools: RepairTools, hops: ReadonlyArray<OpenHop>): Effect.Effect<void> =>
  Effect.forEach(
    hops,
    ({ hop, connection }) =>
      Effect.tryPromise(() => connection.ping(PING_SECONDS)).pipe(
        Effect.flatMap((seconds) => tools.router.report(hop.peer, { _tag: "RoundTrip", seconds })),
        Effect.ignore
      ),
    { concurrency: "unbounded", discard: true }
  )

type Broken = { readonly open: OpenHop; readonly fault: Fault }

const relinkAll = async (
  known: ReadonlyArray<Announcement>,
  hops: ReadonlyArray<OpenHop>,
  plan: ReadonlyArray<HopRepair>,
  epoch: number
): Promise<Broken | undefined> => {
  const results = await Promise.all(
    hops.map(async (open, index): Promise<Broken | undefined> => {
      const { keep, sendFrom, journalFrom } = plan[index] as HopRepair
      const next = hops[index + 1]
      try {
        await relinkHop(open, epoch, keep, linkTo(next, known, sendFrom, journalFrom))
        return undefined
      } catch (failure) {
        const fault = faultOf(failure)
        // it is the next hop that cannot be reached, not this one
        return {
          open: fault.code === "next-gone" && fault.peer !== undefined && next !== undefined ? next : open,
          fault
        }
      }
    })
  )
  return results.find((result) => result !== undefined)
}

/**
 * Sends each hop what it misses of its journal, the last hop first: a hop that is fed afterwards sends rows to the next
 * one, which must have taken in its own before. The ping says that it has.
 */
const feed = async (
  tools: RepairTools,
  hops: ReadonlyArray<OpenHop>,
  plan: ReadonlyArray<HopRepair>,
  epoch: number,
  want: "all" | "last"
) => {
  const started = performance.now()
  let tokens = 0
  for (let index = hops.length - 1; index >= 0; index--) {
    const open = hops[index] as OpenHop
    const { keep, feedTo } = plan[index] as HopRepair
    if (keep >= feedTo) continue
    const roundTrip = open.connection.roundTrip()
    const sent = performance.now()
    let bytes = 0
    for (const entry of open.journal.read(keep, 2 * tools.chunk)) {
      const { position, codec, payload } = entry
      tokens += entry.tokens
      bytes += payload.length
      open.connection.notify(
        "step",
        { session: open.session, epoch, position, tokens: entry.tokens, codec, want },
        payload
      )
    }
    try {
      await open.connection.ping(10)
      const seconds = (performance.now() - sent) / 1000
      const bytesPerSecond = roundTrip === undefined ? undefined : lineRate(bytes, seconds, roundTrip)
      if (bytesPerSecond !== undefined) {
        Effect.runFork(tools.router.report(open.hop.peer, { _tag: "Bandwidth", bytesPerSecond }))
      }
    } catch (failure) {
      return { tokens, milliseconds: 0, broken: { open, fault: faultOf(failure) } }
    }
  }
  return { tokens, milliseconds: performance.now() - started, broken: undefined }
}
