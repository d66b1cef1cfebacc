/**
 * `swarm status`: who holds what.
 * @module
 */
import { Discovery } from "@swarm/discovery"
import type { Announcement, BlockRange, Status } from "@swarm/protocol"
import { missingBlocks } from "@swarm/routing"
import { Network } from "@swarm/transport"
import * as Effect from "effect/Effect"
import { type Parsed, UsageError } from "../args.ts"
import { seekerLayer } from "../layers.ts"
import { clientMember } from "../membership.ts"
import { CommandFailed, makeOutput, type Output, size } from "../output.ts"
import type { status } from "../specs.ts"

/** A server as it was seen. */
interface Seen {
  readonly announcement: Announcement
  /** What it says when asked; undefined: it does not answer. */
  readonly status: Status | undefined
  /** Seconds there and back. */
  readonly roundTrip: number | undefined
}

const EVERY_SECONDS = 2
const ANSWER_SECONDS = 3
const AT_ONCE = 16

export const run = ({ values }: Parsed<typeof status.options>): Effect.Effect<void, unknown> =>
  Effect.gen(function* () {
    const output = makeOutput(values.json)
    if (values.join.length === 0)
      return yield* Effect.fail(new UsageError("--join is missing: an address of any server"))
    const member = yield* clientMember(values)
    const show = Effect.flatMap(look(values.join), (view) => Effect.sync(() => report(view, output, values.watch)))
    const once = Effect.gen(function* () {
      yield* show
      if (output.isJson) output.event({ event: "done" })
    })
    // once it was found, a swarm is watched however badly it does
    const next = Effect.catchAll(show, ({ message }) => Effect.sync(() => output.note(`${message}; still trying`)))
    const again = Effect.forever(Effect.zipRight(Effect.sleep(1000 * (values.every ?? EVERY_SECONDS)), next))
    yield* Effect.provide(
      values.watch ? Effect.zipRight(show, again) : once,
      seekerLayer({ join: values.join, member })
    )
  })

/** Who was found, and which of those that were asked serve nothing themselves. */
interface View {
  readonly servers: ReadonlyArray<Seen>
  readonly directories: ReadonlyArray<{ readonly address: string; readonly status: Status }>
}

const look = (join: ReadonlyArray<string>): Effect.Effect<View, CommandFailed, Discovery | Network> =>
  Effect.gen(function* () {
    const discovery = yield* Discovery
    const network = yield* Network
    yield* Effect.mapError(discovery.refresh, (cause) => new CommandFailed({ detail: cause.message }))
    const servers = yield* Effect.forEach(
      discovery.known(),
      (announcement) =>
        ask(network, announcement.addresses[0] ?? "", announcement.peer).pipe(
          Effect.map(({ status, roundTrip }) => ({
            announcement: status.announcement ?? announcement,
            status,
            roundTrip
          })),
          Effect.orElseSucceed(() => ({ announcement, status: undefined, roundTrip: undefined }))
        ),
      { concurrency: AT_ONCE }
    )
    const asked = yield* Effect.forEach(
      join,
      (address) =>
        ask(network, address).pipe(
          Effect.map(({ status }) => (status.announcement === undefined ? [{ address, status }] : [])),
          Effect.orElseSucceed(() => [])
        ),
      { concurrency: AT_ONCE }
    )
    return { servers, directories: asked.flat() }
  })

const ask = (network: Network, address: string, peer?: string) =>
  Effect.flatMap(network.connect(address, peer), (connection) =>
    Effect.tryPromise(async () => {
      const roundTrip = await connection.ping(ANSWER_SECONDS)
      const { body: status } = await connection.request("status", {}, { timeoutSeconds: ANSWER_SECONDS })
      return { status, roundTrip }
    })
  )

/** The servers of one model, in the order of their blocks. */
interface ModelSeen {
  readonly digest: string
  readonly name: string
  readonly blocks: number
  /** What no server that answers holds. */
  readonly missing: ReadonlyArray<BlockRange>
  readonly servers: ReadonlyArray<Seen>
}

const byModel = (seen: ReadonlyArray<Seen>): ReadonlyArray<ModelSeen> =>
  [...new Set(seen.map(({ announcement }) => announcement.model))].map((digest) => {
    const servers = seen.filter(({ announcement }) => announcement.model === digest).toSorted(inOrder)
    const { modelName: name = "", modelBlocks: blocks = 0 } = servers[0]?.announcement ?? {}
    const serving = servers
      .filter((server) => server.status !== undefined && server.announcement.state === "online")
      .map(({ announcement }) => announcement)
    return { digest, name, blocks, missing: missingBlocks(serving, { from: 0, to: blocks }), servers }
  })

const report = ({ servers, directories }: View, output: Output, isWatching: boolean): void => {
  const models = byModel(servers)
  if (isWatching && !output.isJson && process.stdout.isTTY) process.stdout.write("\u001b[H\u001b[2J")
  output.event(
    {
      event: "status",
      models: models.map(({ missing, servers, ...model }) => ({
        ...model,
        missing: missing.map(({ from, to }) => [from, to]),
        servers: servers.map(figures)
      })),
      directories: directories.map(({ address, status: { channels, uptimeSeconds, residentBytes, refused } }) => ({
        address,
        channels,
        uptimeSeconds: Math.round(uptimeSeconds),
        residentBytes,
        refused
      }))
    },
    [
      ...(models.length === 0 ? ["nobody serves anything"] : models.map((model) => table(model, output))),
      ...directories.map(
        ({ address, status: { channels, refused } }) =>
          `directory ${address}: ${channels} connections, ${total(refused)} announcements refused`
      )
    ].join("\n\n")
  )
}

const inOrder = ({ announcement: a }: Seen, { announcement: b }: Seen): number =>
  a.blocks.from - b.blocks.from || a.blocks.to - b.blocks.to || (a.peer < b.peer ? -1 : 1)

const total = (refused: Status["refused"]): number => Object.values(refused).reduce((sum, count) => sum + count, 0)

const figures = ({ announcement, status: said, roundTrip }: Seen) => ({
  peer: announcement.peer,
  addresses: announcement.addresses,
  blocks: [announcement.blocks.from, announcement.blocks.to],
  state: said === undefined ? "unreachable" : announcement.state,
  decodeRate: announcement.decodeRate,
  prefillRate: announcement.prefillRate,
  freeTokens: announcement.freeTokens,
  sessions: announcement.sessions,
  queue: announcement.queue,
  version: announcement.version,
  ...(roundTrip === undefined ? {} : { roundTripMs: Math.round(roundTrip * 1e4) / 10 }),
  ...(said === undefined
    ? {}
    : { uptimeSeconds: Math.round(said.uptimeSeconds), residentBytes: said.residentBytes, refused: said.refused })
})

const HEADER = [
  "blocks",
  "peer",
  "state",
  "tokens/s",
  "prompt/s",
  "free KV",
  "sessions",
  "queue",
  "ms",
  "memory",
  "refused",
  "address"
]

const table = (model: ModelSeen, output: Output): string => {
  const rows = model.servers.map(({ announcement: a, status: said, roundTrip }) => {
    const width = a.blocks.to - a.blocks.from
    return [
      `${a.blocks.from}:${a.blocks.to}`,
      a.peer.slice(-8),
      said === undefined ? "unreachable" : a.state,
      Math.round(a.decodeRate / width),
      Math.round(a.prefillRate / width),
      a.freeTokens,
      a.sessions,
      a.queue,
      roundTrip === undefined ? "" : (roundTrip * 1000).toFixed(1),
      said === undefined ? "" : size(said.residentBytes),
      said === undefined ? "" : total(said.refused),
      a.addresses[0] ?? ""
    ].map(String)
  })
  const widths = HEADER.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)))
  const line = (cells: ReadonlyArray<string>): string =>
    cells
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join("  ")
      .trimEnd()
  const holes = model.missing.map(({ from, to }) => `${from}:${to}`).join(", ")
  return [
    `${output.bold(model.name)}, ${model.blocks} blocks, ${holes === "" ? output.green("complete") : output.red(`nobody serves ${holes}`)}`,
    output.dim(line(HEADER)),
    ...rows.map(line)
  ].join("\n")
}
