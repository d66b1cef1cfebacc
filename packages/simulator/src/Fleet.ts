/**
 * The servers of a simulation: who is there, in which place, under which load.
 * @module
 */
import { addRate, type Placed } from "@swarm/balancer"
import type { Announcement, BlockRange } from "@swarm/protocol"
import type { Scenario, ServerSpec } from "./Scenario.ts"

/** What a server needs of a session that uses it. */
export interface Guest {
  /** The server is gone, or serves these blocks no more. */
  readonly lost: (server: SimServer) => void
}

/** One server. */
export interface SimServer {
  readonly peer: string
  readonly spec: ServerSpec
  readonly region: string
  /** Blocks that it can hold. */
  readonly length: number
  blocks: BlockRange
  state: "away" | "joining" | "online"
  /** How many times slower than its spec it is. */
  slower: number
  /** Rises with each loss and move: what was planned for an earlier one is void. */
  epoch: number
  readonly guests: Set<Guest>
  reserved: number
}

const MODEL = "model"

/** Sessions hold at most so many tokens. */
const MAX_TOKENS = 1e9

/** Rate of a server as the balancer counts it: a request uses (n + 1) / 2 of its n blocks in the mean. */
export const rateOf = ({ spec, length }: SimServer): number => spec.decodeRate / ((length + 1) / 2)

/** How many times longer a step takes because of those who share the server. */
export const loadFactor = ({ guests, spec: { batch = 4 } }: SimServer): number => Math.max(1, guests.size / batch)

/** The servers, with what is derived from all of them kept up to date. */
export class Fleet {
  readonly servers: ReadonlyArray<SimServer>
  readonly byPeer: ReadonlyMap<string, SimServer>
  readonly blocks: number
  /** Throughput of each block, joining servers included: f64 (blocks). */
  readonly rates: Float64Array
  /** Online holders of each block: u32 (blocks). */
  readonly holders: Uint32Array

  constructor(scenario: Scenario, random: () => number) {
    this.blocks = scenario.model.blocks
    this.rates = new Float64Array(this.blocks)
    this.holders = new Uint32Array(this.blocks)
    this.servers = scenario.servers.flatMap((spec, kind) =>
      Array.from({ length: spec.count ?? 1 }, (_, index) => makeServer(spec, `${kind}-${index}`, this.blocks, random))
    )
    this.byPeer = new Map(this.servers.map((server) => [server.peer, server]))
  }

  /** Puts a server in its place, where others count on it: "joining" is not yet used. */
  place(server: SimServer, blocks: BlockRange, state: "joining" | "online"): void {
    this.#count(server, -1)
    server.blocks = blocks
    server.state = state
    this.#count(server, 1)
  }

  /** Takes a server out; its sessions lose it. */
  remove(server: SimServer): void {
    this.#count(server, -1)
    server.state = "away"
    server.epoch++
    for (const guest of [...server.guests]) guest.lost(server)
  }

  #count(server: SimServer, sign: number): void {
    if (server.state === "away") return
    addRate(this.rates, server.blocks, sign * rateOf(server))
    if (server.state !== "online") return
    for (let block = server.blocks.from; block < server.blocks.to; block++) this.holders[block]! += sign
  }

  /** Those who are there or about to be, as the balancer takes them. */
  placed(): ReadonlyArray<Placed> {
    return this.servers.flatMap((server) => {
      const { peer, blocks, region, state } = server
      return state === "away" ? [] : [{ peer, blocks, rate: rateOf(server), region }]
    })
  }

  /** What online servers would announce now. */
  announcements(): ReadonlyArray<Announcement> {
    return this.servers.flatMap((server) => (server.state === "online" ? [announcementOf(server, this.blocks)] : []))
  }
}

const lengthOf = ({ blocks }: ServerSpec, most: number, random: () => number): number => {
  if (typeof blocks === "number") return Math.min(blocks, most)
  if (!("between" in blocks)) return blocks[1] - blocks[0]
  const [least, greatest] = blocks.between
  return Math.min(most, least + Math.floor(random() * (greatest - least + 1)))
}

/** The range that a spec gives for good. */
export const pinnedBlocks = ({ blocks }: ServerSpec): BlockRange | undefined =>
  typeof blocks === "number" || "between" in blocks ? undefined : { from: blocks[0], to: blocks[1] }

const makeServer = (spec: ServerSpec, peer: string, most: number, random: () => number): SimServer => {
  const length = lengthOf(spec, most, random)
  return {
    peer,
    spec,
    region: spec.region ?? "",
    length,
    blocks: pinnedBlocks(spec) ?? { from: 0, to: length },
    state: "away",
    slower: 1,
    epoch: 0,
    guests: new Set(),
    reserved: 0
  }
}

const announcementOf = (server: SimServer, modelBlocks: number): Announcement => ({
  peer: server.peer,
  addresses: [`sim://${server.peer}`],
  model: MODEL,
  modelName: MODEL,
  modelBlocks,
  blocks: server.blocks,
  state: "online",
  decodeRate: server.spec.decodeRate / server.slower,
  prefillRate: server.spec.prefillRate / server.slower,
  digest: "",
  freeTokens: Math.max(0, (server.spec.kvTokens ?? 65_536) - server.reserved),
  maxTokens: MAX_TOKENS,
  sessions: server.guests.size,
  queue: loadFactor(server) - 1,
  version: "",
  timeToLive: 30
})
