/**
 * `swarm serve` processes, run from the sources, and clients of them.
 * @module
 */
import * as path from "node:path"
import { clientLayer, type ServerProcess, startServer } from "@swarm/cli"
import { type Chain, Swarm } from "@swarm/client"
import type { Model } from "@swarm/model"
import { Effect, Layer } from "effect"

const REPOSITORY = path.join(import.meta.dirname, "../..")
const COMMAND = [
  process.execPath,
  "--import",
  "tsx",
  "--conditions=swarm-src",
  path.join(REPOSITORY, "packages/cli/src/main.ts")
] as const

/** Starts a server of blocks [from, to) that announces itself to those at `join`; it ends with the scope. */
export const startBlocks = (
  model: string,
  [from, to]: readonly [number, number],
  join: ReadonlyArray<string> = [],
  more: ReadonlyArray<string> = []
) =>
  startServer({
    command: COMMAND,
    args: ["--model", model, "--blocks", `${from}:${to}`, ...join.flatMap((address) => ["--join", address]), ...more]
  })

/** A client that knows `servers`. */
export const clientOf = (servers: ReadonlyArray<ServerProcess>) =>
  Effect.flatMap(Layer.build(clientLayer(servers.map(({ address }) => address))), (context) =>
    Effect.provide(Swarm, context)
  )

/** What a session asks of the servers of `model`. */
export const served = ({ digest, name, blocks, hiddenSize }: Model) => ({ digest, name, blocks, hiddenSize })

/** The process that is now at a hop of a chain. */
export const processAt = (
  servers: ReadonlyArray<ServerProcess>,
  chain: Pick<Chain, "route">,
  hop: number
): ServerProcess => {
  const peer = chain.route()[hop]?.peer
  const found = servers.find((server) => server.peer === peer)
  if (found === undefined) throw new Error(`no process at hop ${hop}`)
  return found
}
