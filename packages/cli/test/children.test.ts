import * as path from "node:path"
import { assert, it } from "@effect/vitest"
import { startServer } from "@swarm/cli"
import { Effect } from "effect"
import { describe } from "vitest"
import { REPOSITORY } from "./support.ts"

const MAIN = path.join(REPOSITORY, "packages/cli/src/main.ts")
const COMMAND = [process.execPath, "--import", "tsx", "--conditions=swarm-src", MAIN] as const

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

describe("startServer", () => {
  it.live("gives a server that is online, and ends it with the scope", () =>
    Effect.gen(function* () {
      const server = yield* Effect.scoped(
        Effect.tap(startServer({ command: COMMAND, args: ["--model", "tiny", "--blocks", "2:3"] }), (started) =>
          Effect.sync(() => assert.isTrue(isAlive(started.pid)))
        )
      )
      assert.deepStrictEqual(server.blocks, [2, 3])
      assert.isFalse(isAlive(server.pid))
    })
  )

  it.scopedLive("says why a server did not start, in its own words", () =>
    Effect.gen(function* () {
      const args = ["--model", "tiny", "--blocks", "3:99"]
      const failure = yield* Effect.flip(startServer({ command: COMMAND, args }))
      assert.strictEqual(failure._tag, "ServerFailed")
      assert.match(failure.message, /^Cannot start a process: --blocks must be/)
    })
  )

  it.scopedLive("says that a program cannot be run, or ends without a word", () =>
    Effect.gen(function* () {
      const absent = yield* Effect.flip(startServer({ command: ["/nowhere/swarm"], args: [] }))
      assert.include(absent.detail, "ENOENT")
      const mute = yield* Effect.flip(startServer({ command: [process.execPath, "-e", "process.exit(3)"], args: [] }))
      assert.include(mute.detail, "code 3")
    })
  )
})
