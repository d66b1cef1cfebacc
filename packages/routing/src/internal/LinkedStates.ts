/**
 * The part of a live graph that is made of servers with measured links.
 * @module
 */
import type { Candidate } from "../candidates.ts"
import type { Digraph } from "../Digraph.ts"
import type { DStarLite } from "../DStarLite.ts"
import type { Weighing } from "../weights.ts"
import { blockCost, entryCost, linkCost, returnCost } from "../weights.ts"

/** A server with nodes of its own: one for each block after which it can be left. */
interface Linked {
  readonly firstStop: number
  readonly nodes: ReadonlyArray<number>
  readonly entries: Array<number>
  readonly lines: Array<number>
  readonly exits: Array<number>
  /** Edges to another server, by its slot. */
  readonly out: Map<number, ReadonlyArray<number>>
  /** Slots with edges to this one. */
  readonly from: Set<number>
}

/**
 * Nodes and edges of servers between which a link was measured and of which one can follow the other. Their edges from
 * boundary to boundary are in the table of spans too, at the same cost.
 */
export class LinkedStates {
  readonly #search: DStarLite
  readonly #graph: Digraph
  readonly #boundary: (block: number) => number
  readonly #weighing: Weighing
  readonly #partial: boolean
  readonly #candidates: ReadonlyArray<Candidate | undefined>
  /** Slots by peer; made when the first link is known, since most swarms that are large have none. */
  #slots: Map<string, Set<number>> | undefined
  /** Receivers by sender: `trips.servers` turned round. */
  readonly #receivers = new Map<string, Array<string>>()
  readonly #linked = new Map<number, Linked>()
  readonly #slotOf: Array<number> = []
  readonly #doneAt: Array<number> = []
  readonly #freeNodes: Array<number> = []

  /** `candidates`: by slot; read whenever a link is made. */
  constructor(
    candidates: ReadonlyArray<Candidate | undefined>,
    search: DStarLite,
    graph: Digraph,
    boundary: (block: number) => number,
    weighing: Weighing,
    partial: boolean
  ) {
    this.#candidates = candidates
    this.#search = search
    this.#graph = graph
    this.#boundary = boundary
    this.#weighing = weighing
    this.#partial = partial
    for (const [receiver, senders] of weighing.trips.servers ?? []) {
      for (const sender of senders.keys()) this.#know(sender, receiver)
    }
    if (this.#receivers.size > 0) this.#index()
  }

  add(slot: number, { peer }: Candidate): void {
    if (this.#slots === undefined) return
    this.#list(slot, peer, this.#slots)
    for (const receiver of this.#receivers.get(peer) ?? []) {
      for (const other of this.#slots.get(receiver) ?? []) this.#link(slot, other)
    }
    for (const sender of this.#weighing.trips.servers?.get(peer)?.keys() ?? []) {
      for (const other of this.#slots.get(sender) ?? []) this.#link(other, slot)
    }
  }

  /** Takes the server away that was at `slot`. */
  remove(slot: number, { peer }: Candidate): void {
    const same = this.#slots?.get(peer)
    same?.delete(slot)
    if (same?.size === 0) this.#slots?.delete(peer)
    const linked = this.#linked.get(slot)
    if (linked === undefined) return
    for (const other of [...linked.out.keys()]) this.#unlink(slot, other)
    for (const other of [...linked.from]) this.#unlink(other, slot)
  }

  /** Takes the costs of a server anew whose peer and blocks are the same. */
  update(slot: number, candidate: Candidate): void {
    const linked = this.#linked.get(slot)
    if (linked === undefined) return
    const { block, entry, back } = this.#costs(candidate)
    for (const edge of linked.entries) this.#search.setCost(edge, entry)
    for (const edge of linked.lines) this.#search.setCost(edge, block)
    for (const edge of linked.exits) this.#search.setCost(edge, back)
    for (const other of linked.out.keys()) this.#link(slot, other)
    for (const other of linked.from) this.#link(other, slot)
  }

  linkChanged(sender: string, receiver: string): void {
    const isKnown = this.#weighing.trips.servers?.get(receiver)?.has(sender) === true
    const receivers = this.#receivers.get(sender) ?? []
    const at = receivers.indexOf(receiver)
    if (isKnown && at < 0) this.#know(sender, receiver)
    else if (!isKnown && at >= 0) receivers.splice(at, 1)
    if (this.#slots === undefined && isKnown) this.#index()
    for (const from of this.#slots?.get(sender) ?? []) {
      for (const to of this.#slots?.get(receiver) ?? []) {
        if (isKnown) this.#link(from, to)
        else this.#unlink(from, to)
      }
    }
  }

  /** The state of `slot` once it is entered at `block`; undefined if it has no states. */
  entered(slot: number, block: number): number | undefined {
    const linked = this.#linked.get(slot)
    return linked?.nodes[Math.max(block + 1 - linked.firstStop, 0)]
  }

  /** The last state of the same server to which a best chain goes on from `state`. */
  last(state: number): number {
    const linked = this.#linked.get(this.#slotOf[state] ?? -1)
    let last = state
    for (const edge of linked?.lines ?? []) {
      if (this.#graph.source(edge) === last && this.#isBest(edge)) last = this.#graph.target(edge)
    }
    return last
  }

  /** Blocks before this one are done at `state`. */
  done(state: number): number {
    return this.#doneAt[state] ?? 0
  }

  /** Slots with states that continue a best chain from a boundary. */
  *entries(boundary: number): Iterable<number> {
    for (const edge of this.#graph.outOf(boundary)) {
      const slot = this.#slotOf[this.#graph.target(edge)]
      if (slot !== undefined && this.#isBest(edge)) yield slot
    }
  }

  /** Slots to which a best chain goes on from `state` over a measured link. */
  *links(state: number): Iterable<number> {
    const own = this.#slotOf[state]
    for (const edge of this.#graph.outOf(state)) {
      const slot = this.#slotOf[this.#graph.target(edge)]
      if (slot !== undefined && slot !== own && this.#isBest(edge)) yield slot
    }
  }

  /** Whether a best chain goes on from `state` to the boundary. */
  mayExit(state: number): boolean {
    return this.#graph
      .outOf(state)
      .some((edge) => this.#slotOf[this.#graph.target(edge)] === undefined && this.#isBest(edge))
  }

  #isBest(edge: number): boolean {
    const rest = this.#search.distance(this.#graph.target(edge))
    return this.#graph.cost(edge) + rest === this.#search.distance(this.#graph.source(edge))
  }

  #list(slot: number, peer: string, slots: Map<string, Set<number>>): void {
    const same = slots.get(peer)
    if (same === undefined) slots.set(peer, new Set([slot]))
    else same.add(slot)
  }

  #index(): void {
    const slots = new Map<string, Set<number>>()
    for (const [slot, candidate] of this.#candidates.entries()) {
      if (candidate !== undefined) this.#list(slot, candidate.peer, slots)
    }
    this.#slots = slots
    for (const [receiver, senders] of this.#weighing.trips.servers ?? []) {
      for (const to of slots.get(receiver) ?? []) {
        for (const sender of senders.keys()) for (const from of slots.get(sender) ?? []) this.#link(from, to)
      }
    }
  }

  /** Notes a link that was not known. */
  #know(sender: string, receiver: string): void {
    const receivers = this.#receivers.get(sender)
    if (receivers === undefined) this.#receivers.set(sender, [receiver])
    else receivers.push(receiver)
  }

  #costs(candidate: Candidate): { readonly block: number; readonly entry: number; readonly back: number } {
    const block = blockCost(candidate, this.#weighing)
    return {
      block,
      entry: entryCost(candidate, this.#weighing) + this.#first(candidate, block),
      back: returnCost(candidate, this.#weighing)
    }
  }

  /** Compute time up to the first state. */
  #first({ blocks }: Candidate, block: number): number {
    return (this.#partial ? 1 : blocks.to - blocks.from) * block
  }

  /** Makes or updates the edges from one server to another, if the one can follow the other. */
  #link(from: number, to: number): void {
    const sender = this.#candidates[from]
    const receiver = this.#candidates[to]
    if (sender === undefined || receiver === undefined || from === to) return
    const first = Math.max(this.#partial ? sender.blocks.from + 1 : sender.blocks.to, receiver.blocks.from)
    const last = Math.min(sender.blocks.to, this.#partial ? receiver.blocks.to - 1 : receiver.blocks.from)
    if (first > last) return
    const link = linkCost(sender, receiver, this.#weighing)
    if (link === undefined) return
    const cost = link + this.#first(receiver, blockCost(receiver, this.#weighing))
    const known = this.#linked.get(from)?.out.get(to)
    if (known !== undefined) {
      for (const edge of known) this.#search.setCost(edge, cost)
      return
    }
    const source = this.#make(from, sender)
    const target = this.#make(to, receiver)
    const edges: Array<number> = []
    for (let stop = first; stop <= last; stop++) {
      const before = source.nodes[stop - source.firstStop]!
      const after = target.nodes[this.#partial ? stop + 1 - target.firstStop : 0]!
      edges.push(this.#search.addEdge(before, after, cost))
    }
    source.out.set(to, edges)
    target.from.add(from)
  }

  #unlink(from: number, to: number): void {
    const source = this.#linked.get(from)
    const target = this.#linked.get(to)
    const edges = source?.out.get(to)
    if (source === undefined || target === undefined || edges === undefined) return
    for (const edge of edges) this.#search.removeEdge(edge)
    source.out.delete(to)
    target.from.delete(from)
    this.#drop(from, source)
    this.#drop(to, target)
  }

  /** The nodes of a server, made if it has none yet. */
  #make(slot: number, candidate: Candidate): Linked {
    const found = this.#linked.get(slot)
    if (found !== undefined) return found
    const { from, to } = candidate.blocks
    const firstStop = this.#partial ? from + 1 : to
    const { block, entry, back } = this.#costs(candidate)
    const nodes: Array<number> = []
    for (let stop = firstStop; stop <= to; stop++) {
      const node = this.#freeNodes.pop() ?? this.#search.addNode()
      this.#slotOf[node] = slot
      this.#doneAt[node] = stop
      nodes.push(node)
    }
    const linked: Linked = { firstStop, nodes, entries: [], lines: [], exits: [], out: new Map(), from: new Set() }
    for (const [index, node] of nodes.entries()) {
      const stop = firstStop + index
      linked.exits.push(this.#search.addEdge(node, this.#boundary(stop), back))
      linked.entries.push(this.#search.addEdge(this.#boundary(this.#partial ? stop - 1 : from), node, entry))
      const next = nodes[index + 1]
      if (next !== undefined) linked.lines.push(this.#search.addEdge(node, next, block))
    }
    this.#linked.set(slot, linked)
    return linked
  }

  /** Takes the nodes of a server away that has no links any more. */
  #drop(slot: number, linked: Linked): void {
    if (linked.out.size > 0 || linked.from.size > 0) return
    for (const edge of [...linked.entries, ...linked.lines, ...linked.exits]) this.#search.removeEdge(edge)
    for (const node of linked.nodes) delete this.#slotOf[node]
    this.#freeNodes.push(...linked.nodes)
    this.#linked.delete(slot)
  }
}
