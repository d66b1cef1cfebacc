/**
 * The command and the hash table: peers that are found through a node which knows nothing of models.
 */
import { it } from "@effect/vitest"
import { makeIdentity } from "@swarm/identity"
import { makeLibp2p } from "@swarm/transport-libp2p"
import { Effect } from "effect"
import { afterAll, assert, describe } from "vitest"
import { makeCommands } from "./support.ts"

const { run, serve, end } = makeCommands()
afterAll(end)

const AT = ["--listen", "/ip4/127.0.0.1/tcp/0"]

describe("the hash table", () => {
  it.scopedLive(
    "leads a client to servers whom no directory knows, after their first server has gone too",
    () =>
      Effect.gen(function* () {
        const node = yield* makeLibp2p({ identity: makeIdentity() })
        // no directory: it takes channels, and closes them
        const middle = yield* node.listen("/ip4/127.0.0.1/tcp/0", (channel) => channel.close("this is no server"))
        yield* Effect.promise(async () => {
          const serving = ["--model", "tiny", ...AT, "--join", middle]
          const [first, second] = [
            await serve([...serving, "--blocks", "0:4"]),
            await serve([...serving, "--blocks", "4:8"])
          ]
          const generate = (join: string) =>
            run(["generate", "--model", "tiny", "--prompt", "One day", "--max-tokens", "4", "--json", "--join", join])
          const found = await generate(middle)
          assert.strictEqual(found.code, 0, found.stderr)
          assert.deepEqual(
            found.events().find(({ event }) => event === "route")?.route,
            [first, second].map(({ online: { peer, blocks } }) => ({ peer, blocks }))
          )

          first.kill("SIGKILL")
          const again = await serve([...serving, "--blocks", "0:4", "--join", second.address])
          const through = await generate(again.address)
          assert.strictEqual(through.code, 0, through.stderr)
          assert.deepEqual(through.events().at(-1)?.ids, found.events().at(-1)?.ids)
        })
      }),
    120_000
  )
})
