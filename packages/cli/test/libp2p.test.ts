/**
 * A swarm of processes over libp2p that finds its shape by itself, loses members, and goes on.
 */
import { createInterface } from "node:readline"
import { afterAll, assert, describe, it, vi } from "vitest"
import { type Event, makeCommands } from "./support.ts"

const { start, run, serve, end } = makeCommands()
afterAll(end)
vi.setConfig({ testTimeout: 240_000 })

const PROMPT = ["--model", "tiny", "--prompt", "Once upon a time", "--ignore-eos"]
const TOKENS = 300

type Server = Awaited<ReturnType<typeof serve>>

const idsOf = (events: ReadonlyArray<Event>): ReadonlyArray<number> =>
  (events.find(({ event }) => event === "done")?.ids ?? []) as ReadonlyArray<number>

/** Generates through `join`; `atToken` 20 is told the peers of the route. */
const generate = (join: string, atToken: (route: ReadonlyArray<unknown>) => void = () => {}) =>
  new Promise<ReadonlyArray<Event>>((resolve) => {
    const child = start(["generate", ...PROMPT, "--join", join, "--json", "--max-tokens", String(TOKENS)])
    const events: Array<Event> = []
    let count = 0
    if (child.stdout !== null) {
      createInterface({ input: child.stdout }).on("line", (line) => {
        const event = JSON.parse(line) as Event
        events.push(event)
        if (event.event !== "token" || ++count !== 20) return
        const route = events.find((one) => one.event === "route")?.route as ReadonlyArray<{ readonly peer: unknown }>
        atToken(route.map(({ peer }) => peer))
      })
    }
    child.once("close", () => resolve(events))
  })

const missing = async (join: string): Promise<unknown> => {
  const [seen] = (await run(["status", "--json", "--join", join])).events()
  return (seen?.models as ReadonlyArray<{ readonly missing: unknown }> | undefined)?.[0]?.missing
}

describe("six processes over libp2p", () => {
  it("cover the model by themselves, and go on with the same tokens when two die, the first among them", async () => {
    const serving = ["--model", "tiny", "--blocks", "auto", "--max-blocks", "4", "--listen", "/ip4/127.0.0.1/tcp/0"]
    const servers: Array<Server> = [await serve(serving)]
    const first = servers[0]?.address ?? ""
    assert.match(first, /^\/ip4\/127\.0\.0\.1\/tcp\/\d+\/p2p\/12D3KooW\w+$/)
    while (servers.length < 6) servers.push(await serve([...serving, "--join", first]))
    assert.deepEqual(await missing(first), [])
    const undisturbed = idsOf(await generate(first))
    assert.lengthOf(undisturbed, TOKENS)

    const events = await generate(first, (route) => {
      const lost = [servers[0], servers.find(({ online }) => online.peer === route.at(-1))]
      for (const server of new Set(lost)) server?.kill("SIGKILL")
    })
    assert.deepEqual(idsOf(events), undisturbed)

    // who comes now finds the others without the first one, and takes the place of those that are gone
    const newcomer = await serve([...serving, "--join", first])
    assert.deepEqual(await missing(newcomer.address), [])
    assert.deepEqual(idsOf(await generate(first)), undisturbed)
  })
})
