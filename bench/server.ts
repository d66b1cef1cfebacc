/**
 * How long a server takes until it is online, how much memory that needs at most, and how much it has then and after a session of 512 tokens.
 *
 *     node --import tsx --conditions=swarm-src bench/server.ts [smollm2|synthetic|FILE.gguf] [--rounds 5]
 *       [--quick] [--json]
 *
 * Linux only: memory is read from /proc.
 * @module
 */
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { parseArgs } from "node:util"
import { loadHead } from "@swarm/compute"
import { layer } from "@swarm/engine"
import { openModel } from "@swarm/model"
import { Effect } from "effect"
import { cuts, generate, makeClient, servedModel, someIds } from "./support/client.ts"
import { memoryOf, peakOf } from "./support/memory.ts"
import { modelFile } from "./support/models.ts"
import { makeReport } from "./support/report.ts"
import { type Server, startServer, startServers } from "./support/servers.ts"
import { median } from "./support/statistics.ts"

/** Seconds until SmolLM2 is online, packed weights present, at most. */
const START = 3
/** Memory is at most so many times the packed weights and the touched KV, and so many megabytes. */
const LIMIT = { factor: 1.3, megabytes: 150 } as const
/** So is the greatest memory while weights are packed, mapped files included. */
const LOAD = { factor: 1.2, megabytes: 200 } as const
const AIM = { factor: 1.1, megabytes: 120 } as const

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: "5" },
    quick: { type: "boolean", default: false },
    json: { type: "boolean", default: false }
  }
})
const file = modelFile(positionals[0])
const rounds = values.quick ? 1 : Number(values.rounds)
const tokens = values.quick ? 64 : 512
const FRESH = 16

const report = await makeReport(values.json, { model: path.basename(file), rounds })

/** Goes with the process, for finalizers do not run when a signal ends it. */
const temporary = fs.mkdtempSync(path.join(os.tmpdir(), "swarm-bench-"))
process.once("exit", () => fs.rmSync(temporary, { recursive: true, force: true }))

/** Seconds until online of the blocks, with an empty folder of packed weights and then with the one it left. */
const timeStarts = (blocks: readonly [number, number]) =>
  Effect.gen(function* () {
    const packed = yield* Effect.acquireRelease(
      Effect.sync(() => fs.mkdtempSync(path.join(temporary, "packed-"))),
      (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true }))
    )
    const once = startServer({ model: file, blocks, environment: { SWARM_CACHE: packed } }).pipe(
      Effect.map(({ pid, seconds, weightBytes }) => ({ seconds, peak: peakOf(pid), weights: weightBytes / 1e6 })),
      Effect.scoped
    )
    const [first, second] = [yield* once, yield* once]
    return { absent: first.seconds, present: second.seconds, peak: first.peak, weights: first.weights }
  }).pipe(Effect.scoped)

/** Reads a file once, so that it is in the page cache. */
const warm = async (name: string) => {
  for await (const _ of fs.createReadStream(name, { highWaterMark: 2 ** 20 }));
}

const starts = (blocks: number) =>
  Effect.gen(function* () {
    yield* Effect.promise(() => warm(file))
    const rows = []
    for (const span of [cuts(blocks, 3)[1] ?? [0, blocks], [0, blocks]] as const) {
      const found = []
      for (let round = 0; round < rounds; round++) {
        const seconds = yield* timeStarts(span)
        found.push(seconds)
        report.sample({ blocks: span.join(":"), ...seconds })
      }
      rows.push({
        blocks: span.join(":"),
        "packed weights present, s": median(found.map(({ present }) => present)),
        "absent, s": median(found.map(({ absent }) => absent)),
        ratio: median(found.map(({ absent, present }) => absent / present)),
        "peak of the first, MB": Math.max(...found.map(({ peak }) => peak)),
        [`limit ${LOAD.factor} x weights + ${LOAD.megabytes}`]: LOAD.factor * (found[0]?.weights ?? 0) + LOAD.megabytes
      })
    }
    report.table(
      `From the start of the process until online, warm file cache, medians of ${rounds}; must: ${START} s for SmolLM2`,
      rows
    )
  })

const memoryRow = (server: Server, when: string, touched: number) => {
  const { resident, anonymous, proportional } = memoryOf(server.pid)
  const { weightBytes, kvBytesPerToken } = server
  const data = (weightBytes + touched * kvBytesPerToken) / 1e6
  return {
    blocks: server.blocks.join(":"),
    when,
    resident,
    anonymous,
    proportional,
    "weights and KV": data,
    [`limit ${LIMIT.factor} x + ${LIMIT.megabytes}`]: LIMIT.factor * data + LIMIT.megabytes,
    [`aim ${AIM.factor} x + ${AIM.megabytes}`]: AIM.factor * data + AIM.megabytes
  }
}

const program = Effect.gen(function* () {
  const model = yield* openModel(file)
  yield* starts(model.blocks)
  const servers = yield* startServers(file, cuts(model.blocks, 3))
  const idle = servers.map((server) => memoryRow(server, "idle", 0))
  const head = yield* loadHead(model)
  const client = yield* makeClient(servers.map(({ address }) => address))
  const chain = yield* client.open({ model: servedModel(model), maxTokens: tokens })
  yield* Effect.promise(() => generate(chain, head, someIds(tokens - FRESH, head.vocabSize), FRESH))
  const used = servers.map((server) => memoryRow(server, `${tokens} tokens`, tokens))
  report.table("Memory of a server of three, MB; the session is still open", [...idle, ...used])
})
await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(layer)))
