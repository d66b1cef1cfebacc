/**
 * The swarm graph as it stands now, and the best chain through it, kept up to date by D* Lite.
 * @module
 */
import type { BlockRange } from "@swarm/protocol"
import type { Candidate } from "./candidates.ts"
import { preference } from "./candidates.ts"
import { Digraph } from "./Digraph.ts"
import { DStarLite } from "./DStarLite.ts"
import type { Chain } from "./graph.ts"
import { LinkedStates } from "./internal/LinkedStates.ts"
import { SpanTable } from "./SpanTable.ts"
import type { Weighing } from "./weights.ts"
import { blockCost, entryCost, returnCost } from "./weights.ts"

/**
 * The same graph as `buildGraph` makes, with the same chains, ties included, in another form. Servers whose links
 * nobody measured are no nodes: of all that offer a range of blocks, only the cheapest makes an edge from boundary to
 * boundary. So D* Lite works on as many nodes as the model has blocks, and one state (with `partial`, one per block) of
 * each server with a measured link.
 *
 * Costs are taken from `weighing` when a server is added or updated: say so when they change. Memory: 8 MB for 10,000
 * servers of 80 blocks.
 */
export class LiveGraph {
  readonly #blocks: BlockRange
  readonly #weighing: Weighing
  readonly #candidates: Array<Candidate | undefined>
  readonly #free: Array<number> = []
  readonly #search: DStarLite
  readonly #graph: Digraph
  readonly #table: SpanTable
  /** Edge from boundary to boundary, by range. */
  readonly #edges = new Map<number, number>()
  readonly #states: LinkedStates

  /** Servers of `initial` get the slots 0, 1, …: to add many at once is quicker than one by one. */
  constructor(blocks: BlockRange, weighing: Weighing, partial = false, initial: ReadonlyArray<Candidate> = []) {
    this.#blocks = blocks
    this.#weighing = weighing
    this.#candidates = [...initial]
    this.#graph = new Digraph()
    for (let block = blocks.from; block <= blocks.to; block++) this.#graph.addNode()
    this.#search = new DStarLite(this.#graph, this.#boundary(blocks.from), this.#boundary(blocks.to))
    const offers = initial.map((candidate) => this.#offer(candidate))
    this.#table = new SpanTable(blocks, partial, offers)
    for (let a = blocks.from; a < blocks.to; a++) {
      for (let b = a + 1; b <= blocks.to; b++) this.#setEdge(a, b, this.#table.cost(a, b))
    }
    const boundary = (block: number): number => this.#boundary(block)
    this.#states = new LinkedStates(this.#candidates, this.#search, this.#graph, boundary, weighing, partial)
  }

  /** Nodes that the search has visited so far. */
  get visits(): number {
    return this.#search.visits
  }

  /** Adds a server whose blocks lie within those of the graph. Gives its slot. */
  add(candidate: Candidate): number {
    const slot = this.#free.pop() ?? this.#candidates.length
    this.#put(slot, candidate)
    this.#states.add(slot, candidate)
    return slot
  }

  /** Says that something about the server at `slot` changed. */
  update(slot: number, candidate: Candidate): void {
    const before = this.#candidates[slot]
    this.#put(slot, candidate)
    const isSame =
      before?.peer === candidate.peer &&
      before.blocks.from === candidate.blocks.from &&
      before.blocks.to === candidate.blocks.to
    if (isSame) return void this.#states.update(slot, candidate)
    if (before !== undefined) this.#states.remove(slot, before)
    this.#states.add(slot, candidate)
  }

  remove(slot: number): void {
    const before = this.#candidates[slot]
    if (before === undefined) return
    this.#put(slot, undefined)
    this.#states.remove(slot, before)
    this.#free.push(slot)
  }

  /** Says that the link from one peer to another in `weighing.trips.servers` changed, came or went. */
  linkChanged(sender: string, receiver: string): void {
    this.#states.linkChanged(sender, receiver)
  }

  /** The chain of least cost from block `from` to the end; undefined if there is none. */
  route(from = this.#blocks.from): Chain | undefined {
    const start = this.#boundary(from)
    this.#search.moveStart(start)
    const total = this.#search.settle()
    if (!Number.isFinite(total)) return undefined
    const hops: Array<Candidate> = []
    let block = from
    let state: number | undefined
    while (block < this.#blocks.to) {
      const slot = this.#next(from, block, state)
      const candidate = slot === undefined ? undefined : this.#candidates[slot]
      if (slot === undefined || candidate === undefined) throw new Error(`No way on from block ${block}`)
      state = this.#states.entered(slot, block)
      const end = state === undefined ? this.#end(slot, block) : undefined
      if (state !== undefined) state = this.#states.last(state)
      const to = end ?? this.#states.done(state ?? 0)
      hops.push({ ...candidate, blocks: { from: block, to } })
      block = to
    }
    return { hops, seconds: total / 1e9 }
  }

  #boundary(block: number): number {
    return block - this.#blocks.from
  }

  #offer(candidate: Candidate) {
    return {
      blocks: candidate.blocks,
      fixed: entryCost(candidate, this.#weighing) + returnCost(candidate, this.#weighing),
      perBlock: blockCost(candidate, this.#weighing)
    }
  }

  #put(slot: number, candidate: Candidate | undefined): void {
    this.#candidates[slot] = candidate
    const offer = candidate === undefined ? undefined : this.#offer(candidate)
    this.#table.set(slot, offer, (from, to, cost) => this.#setEdge(from, to, cost))
  }

  #setEdge(from: number, to: number, cost: number): void {
    const range = from * (this.#blocks.to + 1) + to
    const edge = this.#edges.get(range)
    if (edge !== undefined) this.#search.setCost(edge, cost)
    else if (Number.isFinite(cost)) {
      this.#edges.set(range, this.#search.addEdge(this.#boundary(from), this.#boundary(to), cost))
    }
  }

  /**
   * Of the servers that continue a best chain, the one that comes first. `state`: that of the server just left, if it
   * has one.
   */
  #next(start: number, block: number, state: number | undefined): number | undefined {
    let best: number | undefined
    const offer = (slot: number): void => {
      if (best === undefined || this.#isBefore(slot, best, start)) best = slot
    }
    if (state !== undefined) for (const slot of this.#states.links(state)) offer(slot)
    if (state !== undefined && !this.#states.mayExit(state)) return best
    const distance = this.#search.distance(this.#boundary(block))
    for (let to = block + 1; to <= this.#blocks.to; to++) {
      const rest = this.#search.distance(this.#boundary(to))
      if (this.#table.cost(block, to) + rest === distance) this.#table.best(block, to, offer)
    }
    for (const slot of this.#states.entries(this.#boundary(block))) offer(slot)
    return best
  }

  /** Where a server without states is left: as late as may be. */
  #end(slot: number, block: number): number {
    const distance = this.#search.distance(this.#boundary(block))
    for (let to = this.#blocks.to; to > block; to--) {
      if (this.#table.costAt(slot, block, to) + this.#search.distance(this.#boundary(to)) === distance) return to
    }
    throw new Error(`The server at slot ${slot} leads nowhere from block ${block}`)
  }

  #isBefore(a: number, b: number, start: number): boolean {
    const one = this.#candidates[a]
    const other = this.#candidates[b]
    if (one === undefined || other === undefined) return false
    return preference(within(one, start), within(other, start)) < 0
  }
}

/** The part of a candidate from block `start` on. */
const within = (candidate: Candidate, start: number): Candidate =>
  candidate.blocks.from >= start ? candidate : { ...candidate, blocks: { from: start, to: candidate.blocks.to } }
