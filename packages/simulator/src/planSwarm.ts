/**
 * What a set of machines would do with a model, and whether a swarm of them is worth it.
 * @module
 */
import {
  blockRates,
  blocksThatFit,
  bottleneck,
  chainSeconds,
  improve,
  joinRegional,
  type Placed
} from "@swarm/balancer"
import type { BlockRange } from "@swarm/protocol"
import { makeNetwork } from "./network.ts"
import type { LinkSpec } from "./Scenario.ts"

/** A machine, or several alike. Bytes and seconds; GB are 1e9 bytes. */
export interface MachineSpec {
  readonly name: string
  /** @default {1} */
  readonly count?: number
  /** Memory for weights and caches. */
  readonly memoryGB: number
  /** Bytes of weights that it gets through in a second: its memory's bandwidth. */
  readonly memoryGBps: number
  /** Multiplications and additions in a second, in 1e9; a prompt costs two for each weight and token. @default {20 · memoryGBps} */
  readonly gflops?: number
  /** Tokens per second through one block as measured, one at a time and of a prompt: instead of the estimates by memory and arithmetic. */
  readonly decodeRate?: number
  readonly prefillRate?: number
  /** Bytes that it reads from its disk in a second: what a model that does not fit costs. @default {1} */
  readonly diskGBps?: number
  readonly region?: string
  readonly mbps?: number
}

/** The machines and what lies between them. */
export interface Machines {
  readonly machines: ReadonlyArray<MachineSpec>
  readonly network: {
    readonly within: LinkSpec
    readonly between?: LinkSpec
    readonly pairs?: Readonly<Record<string, LinkSpec>>
  }
  /** Region of the client. @default {that of the first machine} */
  readonly client?: string
}

/** What a plan needs of a model. */
export interface ModelNeeds {
  readonly blocks: number
  /** Bytes of the weights of one block, as they are held. */
  readonly blockBytes: number
  readonly blockParameters: number
  /** Bytes of KV cache of one token in one block. */
  readonly kvBytes: number
  /** Bytes of a token's activations on the wire. */
  readonly tokenBytes: number
  /** Tokens of all sessions that a server holds at once. */
  readonly cacheTokens: number
  readonly promptTokens: number
}

/** One machine's part. */
export interface PlannedMachine {
  readonly name: string
  readonly blocks: BlockRange
  readonly bytes: number
  readonly memory: number
  /** Seconds of one token in its blocks. */
  readonly seconds: number
}

/** One way to run the model. */
export interface Way {
  readonly secondsPerToken: number
  readonly firstTokenSeconds: number
  /** The machine, where it is one alone. */
  readonly machine?: string
}

/** @see planSwarm */
export interface SwarmPlan {
  readonly machines: ReadonlyArray<PlannedMachine>
  /** Machines on which not even one block fits. */
  readonly left: ReadonlyArray<string>
  /** Undefined if the machines together cannot hold the model. */
  readonly swarm: Way | undefined
  /** The best machine that holds the model alone; undefined if none does. */
  readonly alone: Way | undefined
  /** The best machine that reads what does not fit from its disk for each token. */
  readonly offloading: Way
  /** Tokens per second of all sessions together, by the slowest block. */
  readonly throughput: number
  readonly verdict: "swarm" | "alone" | "offloading"
  /** How many times faster than the next best way. */
  readonly gain: number
}

/** Share of a memory's bandwidth, or of the arithmetic, that kernels reach. Measured kernels lie between a third and four fifths. */
const EFFICIENCY = 0.5
/** What a server takes besides weights and caches. */
const BASE_BYTES = 150e6
const OVERHEAD_SECONDS = 0.0005

interface Machine extends MachineSpec {
  readonly label: string
}

/** One by one, each under a name of its own: "desktop", or "desktop 1", "desktop 2" where there are several of that name. */
const expand = ({ machines }: Machines): ReadonlyArray<Machine> => {
  const all = machines.flatMap((machine) => Array.from({ length: machine.count ?? 1 }, () => machine))
  const numbers = new Map<string, number>()
  return all.map((machine) => {
    const number = (numbers.get(machine.name) ?? 0) + 1
    numbers.set(machine.name, number)
    const isOnly = all.filter(({ name }) => name === machine.name).length === 1
    return { ...machine, label: isOnly ? machine.name : `${machine.name} ${number}` }
  })
}

const decodeSeconds = ({ memoryGBps, decodeRate }: MachineSpec, { blockBytes }: ModelNeeds): number =>
  decodeRate !== undefined ? 1 / decodeRate : blockBytes / (EFFICIENCY * memoryGBps * 1e9)

const prefillSeconds = (machine: MachineSpec, { blockParameters }: ModelNeeds): number =>
  machine.prefillRate !== undefined
    ? 1 / machine.prefillRate
    : (2 * blockParameters) / (EFFICIENCY * (machine.gflops ?? 20 * machine.memoryGBps) * 1e9)

/** Time on one machine alone, with so many blocks read from disk for each token. */
const onOne = (machine: Machine, needs: ModelNeeds, fits: number): Way => {
  const read = ((needs.blocks - fits) * needs.blockBytes) / ((machine.diskGBps ?? 1) * 1e9)
  return {
    machine: machine.label,
    secondsPerToken: Math.max(read, needs.blocks * decodeSeconds(machine, needs)),
    firstTokenSeconds: Math.max(read, needs.promptTokens * needs.blocks * prefillSeconds(machine, needs))
  }
}

const best = (ways: ReadonlyArray<Way>): Way | undefined =>
  ways.toSorted((a, b) => a.secondsPerToken - b.secondsPerToken)[0]

/**
 * Places the model on the machines (the rules of `@swarm/balancer`) and predicts what a session sees, beside the machines alone. A model of
 * memory and network bandwidth, no measurement: right within a factor of two where kernels are.
 */
export const planSwarm = (description: Machines, needs: ModelNeeds): SwarmPlan => {
  const { blocks, tokenBytes } = needs
  const machines = expand(description)
  const room = (machine: Machine) => ({
    memory: machine.memoryGB * 1e9,
    reserved: BASE_BYTES,
    weights: needs.blockBytes,
    cache: needs.kvBytes * needs.cacheTokens
  })
  const fits = new Map(machines.map((machine) => [machine.label, blocksThatFit(room(machine), blocks)]))
  const { seconds: delay } = makeNetwork({ network: description.network })
  const byLabel = new Map(machines.map((machine) => [machine.label, machine]))

  let placed: ReadonlyArray<Placed> = []
  // the roomiest first: what is left is filled by those that fit anywhere
  for (const machine of machines.toSorted((a, b) => (fits.get(b.label) ?? 0) - (fits.get(a.label) ?? 0))) {
    const count = fits.get(machine.label) ?? 0
    if (count === 0) continue
    const region = machine.region ?? ""
    const range = joinRegional(placed, blocks, count, region)
    const rate = 2 / ((count + 1) * decodeSeconds(machine, needs))
    placed = [...placed, { peer: machine.label, blocks: range, rate, region }]
  }
  const moves = new Map(improve(placed, blocks).moves.map(({ peer, to }) => [peer, to]))
  placed = placed.map((server) => ({ ...server, blocks: moves.get(server.peer) ?? server.blocks }))

  const blockSeconds = (prefill: boolean) => (server: Placed) => {
    const machine = byLabel.get(server.peer)
    if (machine === undefined) return Number.POSITIVE_INFINITY
    return prefill ? needs.promptTokens * prefillSeconds(machine, needs) : decodeSeconds(machine, needs)
  }
  const client = description.client ?? machines[0]?.region ?? ""
  const slowest = machines.reduce((least, { mbps }) => Math.min(least, mbps ?? least), Number.POSITIVE_INFINITY)
  const through = (tokens: number, prefill: boolean): number =>
    chainSeconds(placed, blocks, {
      client,
      overhead: OVERHEAD_SECONDS,
      delay: (from, to) => delay(from, to, tokens * tokenBytes, slowest),
      blockSeconds: blockSeconds(prefill)
    })
  const secondsPerToken = placed.length === 0 ? Number.POSITIVE_INFINITY : through(1, false)
  const swarm = Number.isFinite(secondsPerToken)
    ? { secondsPerToken, firstTokenSeconds: through(Math.max(1, needs.promptTokens), true) }
    : undefined
  const alone = best(machines.filter(({ label }) => fits.get(label) === blocks).map((m) => onOne(m, needs, blocks)))
  const offloading = best(machines.map((machine) => onOne(machine, needs, fits.get(machine.label) ?? 0)))
  if (offloading === undefined) throw new RangeError("A plan needs at least one machine")
  const rest = alone ?? offloading
  const isWorth = swarm !== undefined && swarm.secondsPerToken < rest.secondsPerToken
  return {
    machines: placed.map((server) => ({
      name: server.peer,
      blocks: server.blocks,
      bytes:
        (server.blocks.to - server.blocks.from) * (needs.blockBytes + needs.kvBytes * needs.cacheTokens) + BASE_BYTES,
      memory: (byLabel.get(server.peer)?.memoryGB ?? 0) * 1e9,
      seconds: (server.blocks.to - server.blocks.from) * blockSeconds(false)(server)
    })),
    left: machines.filter(({ label }) => fits.get(label) === 0).map(({ label }) => label),
    swarm,
    alone,
    offloading,
    throughput: swarm === undefined ? 0 : Math.max(0, bottleneck(blockRates(placed, blocks))),
    verdict: isWorth ? "swarm" : alone === undefined ? "offloading" : "alone",
    gain:
      swarm === undefined
        ? 1
        : isWorth
          ? rest.secondsPerToken / swarm.secondsPerToken
          : swarm.secondsPerToken / rest.secondsPerToken
  }
}
