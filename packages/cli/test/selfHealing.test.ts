/**
 * Six servers of a real model over libp2p: they cover it by themselves, lose members and their first address, and go on.
 */
import { createInterface } from "node:readline"
import { afterAll, assert, describe, it, vi } from "vitest"
import { type Event, makeCommands, SMOLLM2 } from "./support.ts"

const { start, run, serve, end } = makeCommands()
afterAll(end)
vi.setConfig({ testTimeout: 240_000 })

type Server = Awaited<ReturnType<typeof serve>>

const LOCAL = "/ip4/127.0.0.1/tcp/0"
const SERVERS = 6
const MODEL = ["--model", SMOLLM2 ?? ""]

/** An integer below `count`, by a seed that the test prints (mulberry32). */
const makeRandom = (seed: number) => (count: number) => {
  seed = (seed + 0x6d2b79f5) | 0
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) % count
}

/** A place to meet that serves nothing. */
const bootstrap = async () => {
  const child = start(["bootstrap", "--listen", LOCAL, "--json"])
  const address = await new Promise<string>((resolve, reject) => {
    child.once("exit", (code) => reject(new Error(`swarm bootstrap ended with ${code}`)))
    if (child.stdout !== null)
      createInterface({ input: child.stdout }).once("line", (line) =>
        resolve(String((JSON.parse(line) as Event).address))
      )
  })
  return { address, kill: () => child.kill("SIGKILL") }
}

/** A generation that is watched: `at(n)` settles when it has come to token n. */
const generate = (join: string, tokens: number) => {
  const child = start(
    [
      "generate",
      ...MODEL,
      "--prompt",
      "The history of the river",
      "--ignore-eos",
      "--json",
      "--grace-seconds",
      "60"
    ].concat(["--max-tokens", String(tokens), "--join", join])
  )
  const events: Array<Event> = []
  let stderr = ""
  child.stderr?.setEncoding("utf8").on("data", (piece: string) => {
    stderr += piece
  })
  let count = 0
  const waiting: Array<{ readonly token: number; readonly resolve: () => void }> = []
  if (child.stdout !== null) {
    createInterface({ input: child.stdout }).on("line", (line) => {
      const event = JSON.parse(line) as Event
      events.push(event)
      if (event.event !== "token") return
      count++
      for (const { token, resolve } of waiting) if (token <= count) resolve()
    })
  }
  const done = new Promise<Event>((resolve, reject) =>
    child.once("close", () => {
      const last = events.at(-1)
      if (last?.event === "done") resolve(last)
      else reject(new Error(`the generation failed: ${stderr}`))
    })
  )
  const at = (token: number) =>
    Promise.race([new Promise<void>((resolve) => waiting.push({ token, resolve })), done.then(() => {})])
  return { at, done, events }
}

interface Seen {
  readonly missing: ReadonlyArray<unknown>
  readonly servers: ReadonlyArray<{ readonly blocks: readonly [number, number]; readonly state: string }>
}

const look = async (join: string): Promise<Seen | undefined> => {
  const [seen] = (await run(["status", "--json", "--join", join])).events()
  return (seen?.models as ReadonlyArray<Seen> | undefined)?.[0]
}

/** Replicas of the block that has fewest. */
const replicas = (seen: Seen | undefined): number => {
  const online = (seen?.servers ?? []).filter(({ state }) => state === "online")
  const count = (block: number) => online.filter(({ blocks: [from, to] }) => from <= block && block < to).length
  return Math.min(...Array.from({ length: 30 }, (_, block) => count(block)))
}

/** Seconds until every block has at least `count` servers. */
const served = async (join: () => string, count: number): Promise<number> => {
  const started = performance.now()
  while (replicas(await look(join())) < count) await new Promise((resolve) => setTimeout(resolve, 250))
  return (performance.now() - started) / 1000
}

/** The servers that live, by where they are now: a server that moves is another peer. */
const placeOf = ({ online, events }: Server) => {
  const moved = events.findLast(({ event }) => event === "moved")
  const [from, to] = (moved?.to ?? online.blocks) as readonly [number, number]
  return { peer: String(moved?.peer ?? online.peer), address: String(moved?.address ?? online.address), from, to }
}

const heal = async (name: string, listenAt: (first: string) => string, seed: number) => {
  const random = makeRandom(seed)
  const say = (text: string) => console.log(`${name}, seed ${seed}: ${text}`)
  const first = await bootstrap()
  const serving = [
    ...MODEL,
    "--blocks",
    "auto",
    "--max-blocks",
    "10",
    "--max-tokens",
    "1024",
    "--listen",
    listenAt(first.address)
  ]
  const join = (address: string) => serve([...serving, "--join", address])
  const alive = new Set(await Promise.all(Array.from({ length: SERVERS }, () => join(first.address))))
  assert.strictEqual(replicas(await look(first.address)), 2)
  const undisturbed = (await generate(first.address, 256).done).ids
  const kill = (victims: ReadonlyArray<Server>) => {
    for (const server of victims) {
      server.kill("SIGKILL")
      alive.delete(server)
    }
  }
  const some = () => [...alive][random(alive.size)] as Server

  // two at random
  const disturbed = generate(first.address, 256)
  await disturbed.at(20)
  const victim = some()
  kill([
    victim,
    ...[...alive]
      .filter((server) => server !== victim)
      .slice(random(SERVERS - 1))
      .slice(0, 1)
  ])
  say(`every block is served again after ${(await served(() => first.address, 1)).toFixed(1)} s`)
  assert.deepEqual((await disturbed.done).ids, undisturbed)

  // both replicas of a span, while one that comes is on its way
  const running = generate(first.address, 256)
  await running.at(20)
  const { from, to } = placeOf(some())
  const both = [...alive].filter((server) => placeOf(server).from < to && placeOf(server).to > from)
  kill(both)
  say(`${both.length} servers of ${from}:${to} are killed`)
  const began = performance.now()
  const newcomer = await join(first.address)
  alive.add(newcomer)
  await served(() => first.address, 1)
  say(`with a newcomer every block is served again after ${((performance.now() - began) / 1000).toFixed(1)} s`)
  assert.deepEqual((await running.done).ids, undisturbed)

  // the place where they met
  const last = generate(first.address, 256)
  await last.at(20)
  first.kill()
  assert.deepEqual((await generate(first.address, 64).done).ids, (undisturbed as ReadonlyArray<number>).slice(0, 64))
  assert.deepEqual((await last.done).ids, undisturbed)
  return { alive, newcomer, undisturbed }
}

describe.skipIf(SMOLLM2 === undefined)("six servers of SmolLM2 over libp2p", () => {
  it("cover it twice, and go on without two of them, both of a span, and the first address", async () => {
    await heal("directly", () => LOCAL, Number(process.env.SWARM_SEED ?? Date.now() % 100_000))
  })
})
