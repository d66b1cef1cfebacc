/**
 * A better placement than everybody's greedy moves lead to: annealed best responses, then as few moves as will do.
 * @module
 */

import { type Move, orderMoves } from "./moves.ts"
import { bottleneck, byPeer, checkPlaced, evenBound, type Placed } from "./Placement.ts"
import { Potential } from "./Potential.ts"
import { seeded } from "./random.ts"

/** @see improve */
export interface ImproveOptions {
  /** Restarts from a shaken best placement. Each costs some 20 · servers · blocks steps. @default {60} */
  readonly rounds?: number
  /** Most moves of the plan. @default {servers} */
  readonly maxMoves?: number
  /** What a move must be worth: a share of the even bound by which the bottleneck rises. Moves that give less are taken back. @default {0.005} */
  readonly moveCost?: number
  /** Servers that may not move, by peer: pinned, or too busy. @default {none} */
  readonly pinned?: ReadonlySet<string>
  /** The same seed and servers give the same plan. @default {1} */
  readonly seed?: number
}

/** Who goes where, and what it brings. */
export interface Improvement {
  /** In an order in which no block that somebody holds is ever left to nobody. */
  readonly moves: ReadonlyArray<Move>
  readonly before: number
  /** Bottleneck when all have moved. */
  readonly after: number
}

/** Temperatures of one descent, as shares of the even bound. */
const TEMPERATURES: ReadonlyArray<number> = [0.5, 0.25, 0.12, 0.06, 0.03, 0.015]
const MAX_SWEEPS = 12
/** Servers shaken at a restart, as a share; at least two. */
const SHAKEN = 0.2

interface Search {
  readonly potential: Potential
  readonly movable: ReadonlyArray<number>
  readonly bound: number
  readonly random: () => number
}

/** Everybody moves to the best place, temperature by temperature, until nobody wants to. */
const descend = ({ potential, movable, bound }: Search): void => {
  for (const share of TEMPERATURES) {
    potential.cool(share * bound)
    for (let sweep = 0; sweep < MAX_SWEEPS; sweep++) {
      let moved = false
      for (const server of movable) {
        const start = potential.bestStart(server)
        if (start === potential.starts[server]) continue
        potential.move(server, start)
        moved = true
      }
      if (!moved) break
    }
  }
}

const shake = ({ potential, movable, random }: Search): void => {
  const count = Math.max(2, Math.round(movable.length * SHAKEN))
  for (let i = 0; i < count; i++) {
    const server = movable[Math.floor(random() * movable.length)]
    if (server === undefined) return
    potential.move(server, Math.floor(random() * (potential.blocks - potential.lengths[server]! + 1)))
  }
}

/** At most `count` of the servers, drawn without repetition. */
const some = ({ movable, random }: Search, count: number): ReadonlyArray<number> => {
  if (count >= movable.length) return movable
  const drawn = new Set<number>()
  while (drawn.size < count) drawn.add(movable[Math.floor(random() * movable.length)] ?? 0)
  return [...drawn]
}

const restore = (potential: Potential, starts: Uint32Array): void => {
  for (let server = 0; server < starts.length; server++) {
    if (starts[server] !== potential.starts[server]) potential.move(server, starts[server]!)
  }
}

/**
 * Takes moves back, the cheapest first, while each costs less than `cost`, or more moves are left than `most`. Many moves of a search are
 * mere exchanges of like servers.
 */
const thin = (potential: Potential, home: Uint32Array, cost: number, most: number): void => {
  for (;;) {
    const current = bottleneck(potential.rates)
    let best = -1
    let reached = Number.NEGATIVE_INFINITY
    let moved = 0
    for (let server = 0; server < home.length; server++) {
      const away = potential.starts[server]!
      if (away === home[server]) continue
      moved++
      potential.move(server, home[server]!)
      const back = bottleneck(potential.rates)
      potential.move(server, away)
      if (back > reached) {
        reached = back
        best = server
      }
    }
    if (best < 0 || (moved <= most && current - reached > cost)) return
    potential.move(best, home[best]!)
  }
}

/**
 * Looks for a placement with a higher bottleneck, from the present one on, and returns the moves that lead there. Deterministic: everybody
 * who knows the same servers finds the same plan, so each can carry out its own move of it.
 *
 * The greedy rule sees only the worst block and is stuck where no single move helps; here servers answer to a smooth measure that
 * is sharpened step by step, and restarts leave dead ends. O(rounds · sweeps · servers · blocks).
 *
 * @example Two on one half, nobody slower than needed
 * ```ts
 * import { improve } from "@swarm/balancer"
 *
 * const at = (peer: string, from: number, to: number) => ({ peer, blocks: { from, to }, rate: 1 })
 * const { moves, before, after } = improve([at("a", 0, 4), at("b", 0, 4), at("c", 0, 4), at("d", 4, 8)], 8)
 * console.log(moves.length, before, after) // => 1 1 2
 * ```
 */
export const improve = (placed: ReadonlyArray<Placed>, blocks: number, options: ImproveOptions = {}): Improvement => {
  checkPlaced(placed, blocks)
  const { rounds = 60, maxMoves = placed.length, moveCost = 0.005, pinned, seed = 1 } = options
  const servers = byPeer(placed)
  const potential = new Potential(servers, blocks)
  const home = potential.starts.slice()
  const bound = evenBound(servers, blocks)
  const before = bottleneck(potential.rates)
  const movable = servers.flatMap(({ peer }, server) => (pinned?.has(peer) === true ? [] : [server]))
  if (movable.length === 0 || !(bound > 0)) return { moves: [], before, after: before }
  const search: Search = { potential, movable, bound, random: seeded(seed) }

  let best = home
  let bestValue = before
  for (let round = 0; round < Math.max(1, rounds); round++) {
    if (round > 0) {
      // every other restart begins at home: few moves are better than many
      restore(potential, round % 2 === 0 ? home : best)
      if (round % 2 === 1 || maxMoves >= movable.length) shake(search)
    }
    // and, if only a few may move, it tries a few of them
    descend(round % 2 === 0 && round > 0 ? { ...search, movable: some(search, maxMoves) } : search)
    thin(potential, home, moveCost * bound, maxMoves)
    const value = bottleneck(potential.rates)
    if (value > bestValue * (1 + 1e-9)) {
      bestValue = value
      best = potential.starts.slice()
    }
  }
  restore(potential, best)
  const wanted = servers.flatMap((server, i) =>
    best[i] === home[i] ? [] : [{ peer: server.peer, from: server.blocks, to: potential.range(i) }]
  )
  const moves = orderMoves(servers, blocks, wanted)
  const dropped = new Set(wanted)
  for (const move of moves) dropped.delete(move)
  for (const { peer, from } of dropped) {
    potential.move(
      servers.findIndex((server) => server.peer === peer),
      from.from
    )
  }
  return { moves, before, after: bottleneck(potential.rates) }
}
