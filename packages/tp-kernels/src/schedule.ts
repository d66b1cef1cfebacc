/**
 * Collectives as data: who sends which part of the vector to whom, in which round.
 * @module
 */

/** Elements from .. to-1 of the vector. */
export interface Range {
  readonly from: number
  readonly to: number
}

/** One message. */
export interface Transfer {
  readonly peer: number
  readonly ranges: ReadonlyArray<Range>
}

/** A round of one rank: its messages leave together, and the next round begins when those it waits for have come. */
export interface Step {
  readonly sends: ReadonlyArray<Transfer>
  readonly receives: ReadonlyArray<Transfer>
  /** Whether what comes is added to what is there (else it takes its place). */
  readonly reduce: boolean
}

/** The rounds of one rank. */
export type Schedule = ReadonlyArray<Step>

/**
 * - `direct`: every pair at once; one round, the most messages.
 * - `ring`: to the next rank only; the fewest bytes at a time, p - 1 rounds.
 * - `tree`: log2 p rounds; any number of ranks.
 * - `hierarchical`: rings inside each node, and one ring per position across the nodes.
 */
export type Algorithm = "direct" | "ring" | "tree" | "hierarchical"

/** What a schedule is made for. */
export interface Topology {
  readonly size: number
  /** Elements of the vector; rank r owns those from floor(r * length / size) on. */
  readonly length: number
  /** Ranks per node, for `hierarchical`: node i has ranks i * nodeSize and on. Divides `size`. */
  readonly nodeSize?: number
}

/** Elements that rank `at` of `size` owns in AllGather and ReduceScatter. */
export const segment = ({ size, length }: Topology, at: number): Range => ({
  from: Math.floor((at * length) / size),
  to: Math.floor(((at + 1) * length) / size)
})

/** Members of a (part of a) group, and what each of them owns. */
interface Team {
  readonly members: ReadonlyArray<number>
  readonly owned: ReadonlyArray<ReadonlyArray<Range>>
}

const wrap = (at: number, size: number): number => ((at % size) + size) % size

const transfer = ({ members, owned }: Team, peer: number, owners: ReadonlyArray<number>): Transfer => ({
  peer: members[wrap(peer, members.length)] ?? 0,
  ranges: owners.flatMap((owner) => owned[wrap(owner, members.length)] ?? []).filter(({ from, to }) => to > from)
})

const plain = (sends: ReadonlyArray<Transfer>, receives: ReadonlyArray<Transfer>): Step => ({
  sends,
  receives,
  reduce: false
})

const count = (length: number): ReadonlyArray<number> => Array.from({ length }, (_, i) => i)

/** AllGather in one team, seen by member `me`. */
const gatherTeam = (algorithm: "direct" | "ring" | "tree", team: Team, me: number): Schedule => {
  const p = team.members.length
  if (p === 1) return []
  const others = count(p).filter((other) => other !== me)
  switch (algorithm) {
    case "direct":
      return [
        plain(
          others.map((other) => transfer(team, other, [me])),
          others.map((other) => transfer(team, other, [other]))
        )
      ]
    case "ring":
      return count(p - 1).map((t) => plain([transfer(team, me + 1, [me - t])], [transfer(team, me - 1, [me - t - 1])]))
    case "tree": {
      // Bruck: after each round a rank has the parts of twice as many ranks, its own and the following ones.
      const steps: Array<Step> = []
      for (let have = 1; have < p; have *= 2) {
        const more = count(Math.min(have, p - have))
        const [left, right] = [me - have, me + have]
        steps.push(
          plain(
            [
              transfer(
                team,
                left,
                more.map((i) => me + i)
              )
            ],
            [
              transfer(
                team,
                right,
                more.map((i) => right + i)
              )
            ]
          )
        )
      }
      return steps
    }
  }
}

/** The node of a rank, and the ranks at its position in all nodes. */
const nodes = ({ size, nodeSize = size }: Topology, rank: number) => {
  if (!Number.isInteger(nodeSize) || nodeSize < 1 || size % nodeSize !== 0) {
    throw new RangeError(`Cannot split ${size} ranks into nodes of ${nodeSize}`)
  }
  const [node, position] = [Math.floor(rank / nodeSize), rank % nodeSize]
  return {
    node,
    position,
    inside: count(nodeSize).map((i) => node * nodeSize + i),
    across: (at: number) => count(size / nodeSize).map((i) => i * nodeSize + at)
  }
}

/** Each rank's segment to all ranks. */
export const allGatherSchedule = (algorithm: Algorithm, topology: Topology, rank: number): Schedule => {
  if (algorithm !== "hierarchical") {
    const members = count(topology.size)
    return gatherTeam(algorithm, { members, owned: members.map((at) => [segment(topology, at)]) }, rank)
  }
  const { node, position, inside, across } = nodes(topology, rank)
  const peers = across(position)
  const outer: Team = { members: peers, owned: peers.map((at) => [segment(topology, at)]) }
  const inner: Team = {
    members: inside,
    owned: inside.map((_, at) => across(at).map((owner) => segment(topology, owner)))
  }
  return [...gatherTeam("ring", outer, node), ...gatherTeam("ring", inner, position)]
}

/** Every arrow turned round: what was spread is added up. */
const reverse = (schedule: Schedule): Schedule =>
  schedule.toReversed().map(({ sends, receives }) => ({ sends: receives, receives: sends, reduce: true }))

/** The sum of all ranks' segments to each one's owner: AllGather backwards. */
export const reduceScatterSchedule = (algorithm: Algorithm, topology: Topology, rank: number): Schedule =>
  reverse(allGatherSchedule(algorithm, topology, rank))

/** One team's broadcast along a binomial tree; `me` and `root` are positions in it. */
const broadcastTree = (members: ReadonlyArray<number>, me: number, root: number, all: Range): Schedule => {
  const p = members.length
  const at = wrap(me - root, p)
  const steps: Array<Step> = []
  for (let have = 1; have < p; have *= 2) {
    const message = (position: number): Transfer => ({ peer: members[wrap(position + root, p)] ?? 0, ranges: [all] })
    const sends = at < have && at + have < p ? [message(at + have)] : []
    steps.push(plain(sends, at >= have && at < 2 * have ? [message(at - have)] : []))
  }
  return steps
}

/** The root's vector to all ranks. `ring`: in as many pieces as ranks, one after the other along the ring. */
export const broadcastSchedule = (algorithm: Algorithm, topology: Topology, rank: number, root: number): Schedule => {
  const { size, length } = topology
  const all = { from: 0, to: length }
  const members = count(size)
  if (size === 1) return []
  switch (algorithm) {
    case "direct": {
      const whole = (peer: number): Transfer => ({ peer, ranges: [all] })
      return [rank === root ? plain(members.filter((at) => at !== root).map(whole), []) : plain([], [whole(root)])]
    }
    case "ring": {
      const distance = wrap(rank - root, size)
      const piece = (peer: number, at: number): ReadonlyArray<Transfer> =>
        at < 0 || at >= size ? [] : [{ peer: wrap(peer, size), ranges: [segment(topology, at)] }]
      return count(2 * size - 2).map((t) =>
        plain(
          distance === size - 1 ? [] : piece(rank + 1, t - distance),
          distance === 0 ? [] : piece(rank - 1, t - distance + 1)
        )
      )
    }
    case "tree":
      return broadcastTree(members, rank, root, all)
    case "hierarchical": {
      const { node, position, inside, across } = nodes(topology, rank)
      const first = nodes(topology, root)
      const outer = position === first.position ? broadcastTree(across(position), node, first.node, all) : []
      return [...outer, ...broadcastTree(inside, position, first.position, all)]
    }
  }
}

/** Every rank's whole vector to all: the one round that decoding with few rows wants. */
export const oneShotSchedule = ({ size, length }: Topology, rank: number): Schedule => {
  const others = count(size).filter((at) => at !== rank)
  const whole = others.map((peer) => ({ peer, ranges: [{ from: 0, to: length }] }))
  return size === 1 ? [] : [{ sends: whole, receives: whole, reduce: true }]
}

/** All rounds of an AllReduce: ReduceScatter, then AllGather, of the algorithm; or one shot. */
export const allReduceSchedule = (algorithm: Algorithm | "one-shot", topology: Topology, rank: number): Schedule =>
  algorithm === "one-shot"
    ? oneShotSchedule(topology, rank)
    : [...reduceScatterSchedule(algorithm, topology, rank), ...allGatherSchedule(algorithm, topology, rank)]
