/**
 * Discovery by asking given addresses.
 * @module
 */
import { Network } from "@swarm/transport"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { Discovery, type Service } from "./Discovery.ts"
import type { LookupOptions } from "./internal/lookup.ts"
import { makeLookup } from "./internal/lookup.ts"

/** @see makeStatic */
export interface StaticOptions extends LookupOptions {}

/**
 * Asks the servers at `addresses` what they serve and know. Announces nothing: servers are found because their addresses are given.
 * Scoped: a background fiber renews what is known while somebody reads it.
 */
export const makeStatic = (network: Network, options: StaticOptions): Effect.Effect<Service, never, Scope.Scope> =>
  Effect.map(makeLookup(network, options), ({ standIns: _, ...lookup }) => ({
    announce: () => Effect.void,
    withdraw: Effect.void,
    ...lookup
  }))

/**
 * {@link makeStatic} as a layer.
 *
 * @example Ask one server
 * ```ts
 * import { Discovery, layerStatic } from "@swarm/discovery"
 * import { layerMemory, layerNetwork } from "@swarm/transport"
 * import { Effect, Layer } from "effect"
 *
 * const discovery = layerStatic({ addresses: ["memory:server"] }).pipe(
 *   Layer.provide(layerNetwork({ software: "example" })),
 *   Layer.provide(layerMemory)
 * )
 * const program = Effect.flatMap(Discovery, ({ known }) => Effect.sync(() => known().length))
 * console.log(await Effect.runPromise(Effect.provide(program, discovery))) // => 0
 * ```
 */
export const layerStatic = (options: StaticOptions): Layer.Layer<Discovery, never, Network> =>
  Layer.scoped(
    Discovery,
    Effect.flatMap(Network, (network) => makeStatic(network, options))
  )
