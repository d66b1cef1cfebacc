/**
 * A client whose journals spill to disk, and one whose disk lets it down.
 */
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { assert, it } from "@effect/vitest"
import { makeTestSwarm } from "@swarm/testing"
import { Effect } from "effect"
import { describe } from "vitest"
import { head, prompt, run, serving, startAll, undisturbed } from "./support/oracles.ts"

const TOKENS = 8

const setUp = Effect.gen(function* () {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "swarm-journals-"))),
    (made) => Effect.sync(() => fs.rmSync(made, { recursive: true }))
  )
  const client = { journalBytes: 16_384, journalFolder: folder }
  const swarm = yield* makeTestSwarm({ blocks: 12, client })
  const servers = yield* startAll(swarm, 2)
  const chain = yield* Effect.flatMap(swarm.client, ({ open }) => open({ model: swarm.model, maxTokens: 1024 }))
  return { folder, servers, chain }
})

/** Paths under which files that were made in `folder` can be opened while they are open here, though their names are gone. */
const spilled = (folder: string): ReadonlyArray<string> =>
  fs
    .readdirSync("/proc/self/fd")
    .map((descriptor) => `/proc/self/fd/${descriptor}`)
    .filter((link) => {
      try {
        return fs.readlinkSync(link).startsWith(folder)
      } catch {
        return false // the descriptor of the listing itself
      }
    })

describe.skipIf(process.platform !== "linux")("journals on disk", () => {
  it.scopedLive("feed a replacement as those in memory do", () =>
    Effect.gen(function* () {
      const { folder, servers, chain } = yield* setUp
      const ids = prompt(1, 600)
      const expected = yield* Effect.promise(() => undisturbed(ids, TOKENS))
      const strike = async (token: number) => {
        if (token !== 4) return
        assert.isNotEmpty(spilled(folder))
        await Effect.runPromise(serving(servers, chain, 1).kill)
      }
      assert.deepStrictEqual(yield* Effect.promise(() => run(chain, ids, TOKENS, strike)), expected)
    })
  )

  it.scopedLive("that cannot be read back fail the call, each time, and not the process", () =>
    Effect.gen(function* () {
      const { folder, servers, chain } = yield* setUp
      yield* Effect.promise(() => chain.forward(head.embed(prompt(1, 600)), "last"))
      assert.isNotEmpty(spilled(folder))
      for (const file of spilled(folder)) fs.truncateSync(file)
      yield* serving(servers, chain, 1).kill
      for (let attempt = 0; attempt < 2; attempt++) {
        const error = yield* Effect.promise(() =>
          chain.forward(head.embed([1]), "last").catch((cause: unknown) => cause)
        )
        assert.nestedInclude(error, { _tag: "ComputeFailed", "cause._tag": "JournalUnreadable" })
        assert.match(String(error), /Cannot read spilled rows/)
      }
    })
  )
})
