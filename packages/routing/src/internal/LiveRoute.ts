/**
 * One kind of request, with its graph and what it made of each announcement.
 * @module
 */
import type { Announcement } from "@swarm/protocol"
import { keepChain } from "../affinity.ts"
import type { Candidate, Verdict } from "../candidates.ts"
import { judge } from "../candidates.ts"
import { missingBlocks } from "../coverage.ts"
import type { Chain } from "../graph.ts"
import { LiveGraph } from "../LiveGraph.ts"
import type { PlannerKnowledge, RoutePlan } from "../planRoute.ts"
import type { Hop, LeftOut, RouteRequest } from "../Router.ts"
import type { Weighing } from "../weights.ts"

interface Member {
  readonly announcement: Announcement
  verdict: Verdict | undefined
  /** Place in the graph; undefined: not in it. */
  slot: number | undefined
  /** Number of the last look that saw it. */
  seen: number
}

/** The part of a request that decides who is a candidate and what an edge costs. */
export type RequestKind = Required<Pick<RouteRequest, "model" | "blocks" | "tokens" | "bytes" | "partial">>

/** The graph of one kind of request, and what it made of each announcement. */
export class LiveRoute {
  readonly #kind: RequestKind
  readonly #knowledge: PlannerKnowledge
  readonly #weighing: Weighing
  readonly #members = new Map<Announcement, Member>()
  readonly #byPeer = new Map<string, Set<Member>>()
  /** Members that are not candidates, though they concern the request. */
  readonly #out = new Set<Member>()
  /** Members to judge anew at each look, since bans run by themselves. */
  readonly #banned = new Set<Member>()
  readonly #stale = new Set<string>()
  #graph: LiveGraph | undefined
  #looks = 0

  constructor(kind: RequestKind, knowledge: PlannerKnowledge) {
    this.#kind = kind
    this.#knowledge = knowledge
    this.#weighing = { trips: knowledge.trips, costs: knowledge.costs, bytes: kind.bytes }
  }

  changed(peer: string): void {
    this.#stale.add(peer)
  }

  linkChanged(sender: string, receiver: string): void {
    this.#graph?.linkChanged(sender, receiver)
  }

  /** `request`: of this kind, without digest, for least latency. */
  plan(request: RouteRequest, announcements: Iterable<Announcement>, now: number): RoutePlan {
    const graph = this.#look(announcements, now)
    const hidden = this.#hide(graph, request.exclude ?? [])
    let chain = graph.route()
    const admitted = chain === undefined ? this.#admit(graph, hidden, now) : []
    if (admitted.length > 0) chain = graph.route()
    const leftOut = [...this.#out].flatMap((member) => (hidden.has(member) ? [] : reasonOf(member)))
    for (const { announcement, verdict } of hidden) {
      if (verdict !== undefined) leftOut.push({ peer: announcement.peer, reason: "is excluded", seconds: 0 })
    }
    let plan: RoutePlan
    if (chain === undefined) {
      const missing = missingBlocks([...this.#candidates(hidden)], this.#kind.blocks, this.#kind.partial)
      plan = { _tag: "NoRoute", missing, leftOut }
    } else {
      const { previous } = request
      const kept = previous === undefined ? chain : this.#keep(previous, hidden, chain)
      plan = { _tag: "Route", ...kept, leftOut }
    }
    for (const member of admitted) this.#place(graph, member, this.#judge(member, now, false))
    for (const member of hidden) this.#place(graph, member, member.verdict)
    return plan
  }

  /** Takes in what came, went or changed since the last look. */
  #look(announcements: Iterable<Announcement>, now: number): LiveGraph {
    const look = ++this.#looks
    const added: Array<Member> = []
    let seen = 0
    for (const announcement of announcements) {
      const member = this.#members.get(announcement) ?? this.#meet(announcement, added)
      if (member.seen !== look) seen++
      member.seen = look
    }
    if (seen < this.#members.size) {
      for (const member of this.#members.values()) if (member.seen !== look) this.#forget(member)
    }
    const graph = this.#graph ?? this.#build(added, now)
    if (graph === this.#graph) for (const member of added) this.#place(graph, member, this.#judge(member, now, false))
    this.#graph = graph
    for (const peer of this.#stale) for (const member of this.#byPeer.get(peer) ?? []) this.#banned.add(member)
    this.#stale.clear()
    for (const member of [...this.#banned]) this.#place(graph, member, this.#judge(member, now, false))
    return graph
  }

  #meet(announcement: Announcement, added: Array<Member>): Member {
    const member: Member = { announcement, verdict: undefined, slot: undefined, seen: 0 }
    this.#members.set(announcement, member)
    const same = this.#byPeer.get(announcement.peer)
    if (same === undefined) this.#byPeer.set(announcement.peer, new Set([member]))
    else same.add(member)
    added.push(member)
    return member
  }

  #forget(member: Member): void {
    const { announcement, slot } = member
    if (slot !== undefined) this.#graph?.remove(slot)
    this.#members.delete(announcement)
    this.#out.delete(member)
    this.#banned.delete(member)
    const same = this.#byPeer.get(announcement.peer)
    same?.delete(member)
    if (same?.size === 0) this.#byPeer.delete(announcement.peer)
  }

  /** The graph of all members at once. */
  #build(members: ReadonlyArray<Member>, now: number): LiveGraph {
    const initial: Array<Candidate> = []
    for (const member of members) {
      const verdict = this.#judge(member, now, false)
      this.#record(member, verdict)
      if (verdict?._tag === "Candidate") member.slot = initial.push(verdict.candidate) - 1
    }
    return new LiveGraph(this.#kind.blocks, this.#weighing, this.#kind.partial, initial)
  }

  #judge({ announcement }: Member, now: number, inNeed: boolean): Verdict | undefined {
    const { bans, slowdownOf } = this.#knowledge
    const { peer } = announcement
    return judge(announcement, this.#kind, bans.of(peer, now), inNeed, slowdownOf?.(peer))
  }

  #record(member: Member, verdict: Verdict | undefined): void {
    member.verdict = verdict
    if (verdict?._tag === "LeftOut") this.#out.add(member)
    else this.#out.delete(member)
    if (verdict?._tag === "LeftOut" && verdict.isBanned) this.#banned.add(member)
    else this.#banned.delete(member)
  }

  #place(graph: LiveGraph, member: Member, verdict: Verdict | undefined): void {
    this.#record(member, verdict)
    if (verdict?._tag === "Candidate") {
      if (member.slot === undefined) member.slot = graph.add(verdict.candidate)
      else graph.update(member.slot, verdict.candidate)
    } else this.#takeOut(graph, member)
  }

  #takeOut(graph: LiveGraph, member: Member): void {
    if (member.slot !== undefined) graph.remove(member.slot)
    member.slot = undefined
  }

  /** Takes peers out of the graph for the time of one plan. */
  #hide(graph: LiveGraph, peers: ReadonlyArray<string>): ReadonlySet<Member> {
    const hidden = new Set(peers.flatMap((peer) => [...(this.#byPeer.get(peer) ?? [])]))
    for (const member of hidden) this.#takeOut(graph, member)
    return hidden
  }

  /** Puts those into the graph who may be tried in need. */
  #admit(graph: LiveGraph, hidden: ReadonlySet<Member>, now: number): ReadonlyArray<Member> {
    const admitted = [...this.#banned].filter((member) => {
      return member.verdict?._tag === "LeftOut" && member.verdict.inNeed && !hidden.has(member)
    })
    for (const member of admitted) this.#place(graph, member, this.#judge(member, now, true))
    return admitted
  }

  *#candidates(hidden: ReadonlySet<Member>): Iterable<Candidate> {
    for (const member of this.#members.values()) {
      if (member.verdict?._tag === "Candidate" && !hidden.has(member)) yield member.verdict.candidate
    }
  }

  #keep(previous: ReadonlyArray<Hop>, hidden: ReadonlySet<Member>, chain: Chain): Chain {
    return keepChain(previous, this.#candidates(hidden), chain, this.#weighing, this.#kind.partial)
  }
}

const reasonOf = ({ verdict }: Member): Array<LeftOut> => (verdict?._tag === "LeftOut" ? [verdict.leftOut] : [])
