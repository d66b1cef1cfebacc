/**
 * Six servers of a real model over libp2p: they cover it by themselves, lose members and their first address, and go on.
 */
import * as fs from "node:fs"
import { createInterface } from "node:readline"
import { afterAll, assert, describe, it, vi } from "vitest"
import { type Event, makeCommands, SMOLLM2 } from "./support.ts"

const { start, serve, bootstrap, end } = makeCommands()
afterAll(end)
vi.setConfig({ testTimeout: 400_000 })

/** All that can be lost, instead of two servers and the first address: minutes. */
const isWhole = process.env.SWARM_HEALING === "all"

type Server = Awaited<ReturnType<typeof serve>>

const LOCAL = "/ip4/127.0.0.1/tcp/0"
const SERVERS = 6
const BLOCKS = 30
const TOKENS = 120
/** Of the model. */
const HIDDEN = 576
const MODEL = ["--model", SMOLLM2 ?? ""]

/** An integer below `count`, by a seed that the test prints (mulberry32). */
const makeRandom = (seed: number) => (count: number) => {
  seed = (seed + 0x6d2b79f5) | 0
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) % count
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
  const times: Array<number> = []
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
      times.push(performance.now())
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
  return { at, done, events, times }
}

interface Seen {
  readonly servers: ReadonlyArray<{ readonly blocks: readonly [number, number]; readonly state: string }>
}

/** Replicas of the block that has fewest. */
const replicas = (seen: Seen | undefined): number => {
  const online = (seen?.servers ?? []).filter(({ state }) => state === "online")
  const count = (block: number) => online.filter(({ blocks: [from, to] }) => from <= block && block < to).length
  return Math.min(...Array.from({ length: BLOCKS }, (_, block) => count(block)))
}

/** Watches the swarm with `swarm status`, which tries every server each time. */
const watch = (join: string) => {
  let least = 0
  const child = start(["status", "--watch", "--every", "0.3", "--json", "--join", join])
  if (child.stdout !== null) {
    createInterface({ input: child.stdout }).on("line", (line) => {
      least = replicas(((JSON.parse(line) as Event).models as ReadonlyArray<Seen> | undefined)?.[0])
    })
  }
  /** Seconds until every block has at least `count` servers, or at most. */
  const until = async (isSo: (least: number) => boolean): Promise<string> => {
    const started = performance.now()
    while (!isSo(least)) await new Promise((resolve) => setTimeout(resolve, 50))
    return `${((performance.now() - started) / 1000).toFixed(1)} s`
  }
  return { until, end: () => child.kill("SIGKILL") }
}

/** The servers that live, by where they are now: a server that moves is another peer. */
const placeOf = ({ online, events }: Server) => {
  const moved = events.findLast(({ event }) => event === "moved")
  const [from, to] = (moved?.to ?? online.blocks) as readonly [number, number]
  return { peer: String(moved?.peer ?? online.peer), address: String(moved?.address ?? online.address), from, to }
}

/** Which of the servers hold a range, wholly or in part. */
const holders = (servers: Iterable<Server>, { from, to }: { readonly from: number; readonly to: number }) =>
  [...servers].filter((server) => placeOf(server).from < to && placeOf(server).to > from)

/** Starts six servers, and gives what can be done to them while generations run. */
const makeSwarm = async (name: string, first: string, listen: string) => {
  const seed = Number(process.env.SWARM_SEED ?? Date.now() % 100_000)
  const random = makeRandom(seed)
  const say = (text: string) => console.log(`${name}, seed ${seed}: ${text}`)
  const serving = [
    ...MODEL,
    "--blocks",
    "auto",
    "--max-blocks",
    "10",
    "--max-tokens",
    "1024",
    "--balance-seconds",
    "10",
    "--listen",
    listen
  ]
  const join = () => serve([...serving, "--join", first])
  const alive = new Set(await Promise.all(Array.from({ length: SERVERS }, join)))
  const seen = watch(first)
  const replicated = isWhole ? 2 : 1
  say(`six are online; each block has ${replicated} or more ${await seen.until((least) => least >= replicated)} later`)
  const { ids: undisturbed, tokensPerSecond } = await generate(first, TOKENS).done
  say(`undisturbed ${Math.round(Number(tokensPerSecond))} tokens/s`)
  const some = () => [...alive][random(alive.size)] as Server
  const kill = (victims: ReadonlyArray<Server>) => {
    const places = victims.map((server) => `${placeOf(server).from}:${placeOf(server).to}`)
    say(`SIGKILL to ${victims.length} servers: ${places.join(", ")}`)
    for (const server of victims) {
      server.kill("SIGKILL")
      alive.delete(server)
    }
  }

  /** Does something half-way through a generation, which must not notice. */
  const during = async (what: (generation: ReturnType<typeof generate>) => Promise<void>): Promise<void> => {
    const running = generate(first, TOKENS)
    await running.at(20)
    await what(running)
    assert.deepEqual((await running.done).ids, undisturbed)
  }

  const loseTwo = () =>
    during(async () => {
      const victim = some()
      kill([victim, [...alive].filter((server) => server !== victim)[random(alive.size - 1)] as Server])
      alive.add(await join())
      say(`a newcomer is online; every block is served ${await seen.until((least) => least >= 1)} later`)
    })

  const loseSpan = () =>
    during(async () => {
      kill(holders(alive, placeOf(some())))
      await seen.until((least) => least === 0)
      say(`others move: every block is served again after ${await seen.until((least) => least >= 1)}`)
    })

  /** Leaves one server for each span but one, so that all waits for the newcomer. */
  const needNewcomer = () =>
    during(async ({ events, times }) => {
      const gone = placeOf(some())
      const kept = new Map([...alive].map((server) => [placeOf(server).from, server]))
      kept.delete(gone.from)
      kill([...alive].filter((server) => kept.get(placeOf(server).from) !== server))
      const began = performance.now()
      const newcomer = await join()
      alive.add(newcomer)
      const online = performance.now()
      await seen.until((least) => least >= 1)
      await new Promise<void>((resolve) => {
        const timer = setInterval(() => {
          const replaced = events.findIndex(({ peers }) => Array.isArray(peers) && peers.includes(newcomer.online.peer))
          const token = events.findIndex(({ event }, index) => event === "token" && replaced >= 0 && index > replaced)
          if (token < 0) return
          clearInterval(timer)
          const [first, start] = [times[token] ?? 0, began].map((time) => time / 1000)
          say(
            `from the start of a newcomer's process to the first token through it: ${((first ?? 0) - (start ?? 0)).toFixed(1)} s, ${((first ?? 0) - online / 1000).toFixed(1)} s of it after it was online`
          )
          resolve()
        }, 50)
      })
    })

  return { say, during, loseTwo, loseSpan, needNewcomer, undisturbed, alive, end: seen.end }
}

describe.skipIf(SMOLLM2 === undefined)("six servers of SmolLM2 over libp2p", () => {
  it("cover it, and go on without two of them and the first address", async () => {
    const first = await bootstrap(["--listen", LOCAL])
    const swarm = await makeSwarm("directly", first.address, LOCAL)
    await swarm.loseTwo()
    if (isWhole) {
      await swarm.loseSpan()
      await swarm.needNewcomer()
    }
    await swarm.during(async () => {
      first.kill("SIGKILL")
      const { ids } = await generate(first.address, 32).done
      assert.deepEqual(ids, (swarm.undisturbed as ReadonlyArray<number>).slice(0, 32))
      swarm.say("a generation began and ended without the bootstrap, as it was still known")
    })
    swarm.end()
  })

  it("do so through a relay only", async () => {
    const relay = await bootstrap(["--listen", LOCAL])
    const swarm = await makeSwarm("relayed", relay.address, `${relay.address}/p2p-circuit`)
    // bytes that a process has read, sockets included: https://man7.org/linux/man-pages/man5/proc_pid_io.5.html
    const read = () => Number(/^rchar: (\d+)$/m.exec(fs.readFileSync(`/proc/${relay.pid}/io`, "utf8"))?.[1])
    const before = read()
    const { route } = await generate(relay.address, TOKENS).done
    const [moved, hops] = [read() - before, route as ReadonlyArray<{ readonly peer: string }>]
    for (const { online } of swarm.alive)
      assert.deepEqual(online.addresses, [`${relay.address}/p2p-circuit/p2p/${online.peer}`])
    // each token goes to three servers and back as 16-bit activations, and twice more into the journal
    swarm.say(`the relay read ${(moved / 1e6).toFixed(1)} MB for ${TOKENS} tokens`)
    assert.isAbove(moved, (hops.length + 1) * TOKENS * HIDDEN * 2)
    await swarm.loseTwo()
    if (isWhole) await swarm.loseSpan()
    swarm.end()
  })
})
