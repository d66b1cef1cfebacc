/**
 * `swarm bootstrap`: servers meet at a peer that serves nothing.
 */
import { afterAll, assert, describe, it, vi } from "vitest"
import { makeCommands, sentenceOf } from "./support.ts"

const { run, serve, bootstrap, end } = makeCommands()
afterAll(end)
vi.setConfig({ testTimeout: 120_000 })

interface Seen {
  readonly address: string
  readonly refused: Readonly<Record<string, number>>
}

describe("swarm bootstrap", () => {
  it.each(["ws://127.0.0.1:0", "/ip4/127.0.0.1/tcp/0"])(
    "at %s: servers meet there; SIGTERM ends it",
    async (listen) => {
      const { address, ended, kill } = await bootstrap(["--listen", listen])
      const server = await serve(["--model", "tiny", "--blocks", "0:8", "--listen", listen, "--join", address])
      const [seen] = (await run(["status", "--json", "--join", address])).events()
      const [model] = (seen?.models ?? []) as ReadonlyArray<{
        readonly servers: ReadonlyArray<{ readonly peer: string }>
      }>
      assert.deepEqual(
        model?.servers.map(({ peer }) => peer),
        [server.online.peer]
      )
      const [directory] = (seen?.directories ?? []) as ReadonlyArray<Seen>
      assert.strictEqual(directory?.address, address)
      assert.isTrue(Object.values(directory?.refused ?? {}).every((count) => count === 0))
      const table = (await run(["status", "--join", address])).stdout
      assert.match(table, /^directory .*: \d+ connections, 0 announcements refused$/m)
      kill("SIGTERM")
      assert.strictEqual(await ended, 0)
    }
  )

  it("says what is missing", async () => {
    assert.match(sentenceOf(await run(["bootstrap"])), /^--listen is missing/)
  })
})
