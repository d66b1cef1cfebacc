/**
 * The swarm as a client sees it: opens chains over whatever servers discovery and routing give.
 * @module
 */
import { type JournalStore, makeJournalStore } from "@swarm/cache"
import { Discovery } from "@swarm/discovery"
import type { WireCodec } from "@swarm/protocol"
import { type Hop, Router } from "@swarm/routing"
import { Network } from "@swarm/transport"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { type Chain, openChain } from "./Chain.ts"
import type { ClientError } from "./ClientError.ts"
import type { ChainEvent } from "./Event.ts"
import { makeLinks } from "./Links.ts"

export interface SwarmOptions {
  /** Memory for the journals of all sessions; beyond it they spill to disk. @default 256 MiB */
  readonly journalBytes?: number
  /** Where they spill. @default the system's folder for temporary files */
  readonly journalFolder?: string
}

/** What a session asks for. */
export interface ChainRequest {
  readonly model: {
    readonly digest: string
    readonly name: string
    readonly blocks: number
    readonly hiddenSize: number
  }
  /** Tokens that the session can hold. */
  readonly maxTokens: number
  /** How activations are encoded on the wire. "f32" is exact. @default "f16" */
  readonly codec?: WireCodec
  /** How long to wait for a server when nobody serves some blocks. @default 4 */
  readonly graceSeconds?: number
  /** A step without progress for so long makes the client ask whether all servers live. @default 1 */
  readonly stallSeconds?: number
  /** A chain whose servers live but which gives nothing for so long is set up anew. @default 60 */
  readonly stepSeconds?: number
  /**
   * Tokens of one step of a prompt: while a server computes one, the server before it computes the next. A replay, which
   * one server computes alone, takes twice as many. @default 64
   */
  readonly chunk?: number
  readonly onEvent?: (event: ChainEvent) => void
}

export interface Service {
  /** Opens a session on a chain of servers that covers all blocks. It is closed, and its caches freed, with the scope. */
  readonly open: (request: ChainRequest) => Effect.Effect<Chain, ClientError, Scope.Scope>
  /** Hop sessions that are open. */
  readonly sessions: () => number
}

export class Swarm extends Context.Tag("@swarm/client/Swarm")<Swarm, Service>() {}

export const make = (
  options: SwarmOptions = {}
): Effect.Effect<Service, never, Network | Router | Discovery | Scope.Scope> =>
  Effect.gen(function* () {
    const network = yield* Network
    const router = yield* Router
    const discovery = yield* Discovery
    const links = makeLinks(network)
    const store: JournalStore = yield* Effect.acquireRelease(
      Effect.sync(() =>
        makeJournalStore({
          memoryBytes: options.journalBytes ?? 256 * 2 ** 20,
          ...(options.journalFolder === undefined ? {} : { folder: options.journalFolder })
        })
      ),
      (made) => Effect.sync(made.close)
    )
    /** The chain of the latest session of each model: the next one finds its connections open. */
    const latest = new Map<string, ReadonlyArray<Hop>>()
    return {
      sessions: links.sessions,
      open: ({ model, maxTokens, codec = "f16", graceSeconds = 4, chunk = 64, stallSeconds, stepSeconds, onEvent }) =>
        Effect.gen(function* () {
          if (discovery.known().length === 0) yield* Effect.ignore(discovery.refresh)
          const previous = latest.get(model.digest)
          const tools = {
            ...(previous === undefined ? {} : { previous }),
            links,
            router,
            discovery,
            newJournal: store.journal,
            model,
            graceSeconds,
            chunk,
            emit: onEvent ?? (() => {})
          }
          const chain = yield* openChain(tools, {
            maxTokens,
            hiddenSize: model.hiddenSize,
            codec,
            ...(stallSeconds === undefined ? {} : { stallSeconds }),
            ...(stepSeconds === undefined ? {} : { stepSeconds })
          })
          latest.set(model.digest, chain.route())
          return chain
        })
    }
  })

/** The swarm over any network, discovery and routing. */
export const layer = (options: SwarmOptions = {}): Layer.Layer<Swarm, never, Network | Router | Discovery> =>
  Layer.scoped(Swarm, make(options))
