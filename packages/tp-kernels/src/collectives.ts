/**
 * AllReduce, AllGather, ReduceScatter and Broadcast over a communicator, exact or in a narrower format on the wire.
 * @module
 */
import { codec, type WireCodec, wireCodecs } from "@swarm/quant"
import type { Communicator } from "./Communicator.ts"
import {
  type Algorithm,
  allGatherSchedule,
  broadcastSchedule,
  oneShotSchedule,
  type Range,
  reduceScatterSchedule,
  type Schedule,
  type Step,
  segment,
  type Transfer
} from "./schedule.ts"

/** How a collective is run. Every rank must ask for the same. */
export interface CollectiveOptions<A extends string = Algorithm> {
  /** @default {"direct"} */
  readonly algorithm?: A
  /** Ranks per node, for `hierarchical`. @default {all in one} */
  readonly nodeSize?: number
  /** The format of values on the wire. A value that it cannot hold makes its message `f32`. @default {"f32"} */
  readonly codec?: WireCodec
}

/** Algorithms of AllReduce: ReduceScatter and AllGather of the name, or everything to everyone at once. */
export type AllReduceAlgorithm = Algorithm | "one-shot"

const sizeOf = ({ ranges }: Transfer, name: WireCodec): number =>
  ranges.reduce((bytes, { from, to }) => bytes + codec(name).bytes(to - from), 0)

/** Each range by itself, so that a part is encoded alike whichever message carries it. */
const encode = (
  x: Float32Array,
  transfer: Transfer,
  name: WireCodec
): { readonly tag: number; readonly payload: Uint8Array } => {
  const payload = new Uint8Array(sizeOf(transfer, name))
  let at = 0
  for (const { from, to } of transfer.ranges) {
    const end = at + codec(name).bytes(to - from)
    if (!codec(name).encode(x.subarray(from, to), payload.subarray(at, end))) return encode(x, transfer, "f32")
    at = end
  }
  return { tag: wireCodecs.indexOf(name), payload }
}

/** Whether the payload is what the transfer calls for; if so its values are in `values`. */
const decode = (
  values: Float32Array,
  { tag, payload }: { readonly tag: number; readonly payload: Uint8Array },
  transfer: Transfer
): boolean => {
  const name = wireCodecs[tag]
  if (name === undefined || sizeOf(transfer, name) !== payload.length) return false
  let [at, start] = [0, 0]
  for (const { from, to } of transfer.ranges) {
    const length = to - from
    const size = codec(name).bytes(length)
    codec(name).decode(payload.subarray(at, at + size), values.subarray(start, start + length))
    at += size
    start += length
  }
  return true
}

/** Gives own values the precision that the others will see, so that all ranks end with the same bits. */
const settle = (x: Float32Array, ranges: ReadonlyArray<Range>, name: WireCodec): void => {
  if (name === "f32") return
  for (const range of ranges) {
    const transfer = { peer: 0, ranges: [range] }
    decode(x.subarray(range.from, range.to), encode(x, transfer, name), transfer)
  }
}

/** Puts `values` where `ranges` of x lie, one after the other. */
const place = (x: Float32Array, ranges: ReadonlyArray<Range>, values: Float32Array): void => {
  let at = 0
  for (const { from, to } of ranges) {
    x.set(values.subarray(at, at + to - from), from)
    at += to - from
  }
}

/** The values of `ranges` of x, one after the other: fresh. */
const pick = (x: Float32Array, ranges: ReadonlyArray<Range>): Float32Array => {
  const values = new Float32Array(ranges.reduce((sum, { from, to }) => sum + to - from, 0))
  let at = 0
  for (const { from, to } of ranges) {
    values.set(x.subarray(from, to), at)
    at += to - from
  }
  return values
}

const runStep = async (x: Float32Array, step: Step, name: WireCodec, group: Communicator): Promise<void> => {
  group.step()
  const sending = step.sends.map((transfer) => {
    const { tag, payload } = encode(x, transfer, name)
    return group.send(transfer.peer, tag, payload)
  })
  // A failed send is noticed after the receives; until then nobody listens to its promise.
  const sent = Promise.allSettled(sending)
  const parts: Array<{ readonly peer: number; readonly ranges: Transfer["ranges"]; readonly values: Float32Array }> = []
  for (const transfer of step.receives) {
    const values = new Float32Array(transfer.ranges.reduce((sum, { from, to }) => sum + to - from, 0))
    const message = await group.receive(transfer.peer)
    if (!decode(values, message, transfer)) throw group.fault(transfer.peer, "desync")
    parts.push({ peer: transfer.peer, ranges: transfer.ranges, values })
  }
  for (const result of await sent) if (result.status === "rejected") throw result.reason
  if (!step.reduce) {
    for (const { ranges, values } of parts) place(x, ranges, values)
    return
  }
  const first = parts[0]
  if (first === undefined) return
  // Summed in the order of the ranks, own values at their place: the same bits on every rank.
  const own = { peer: group.rank, values: pick(x, first.ranges) }
  const [start, ...others] = [...parts, own].toSorted((a, b) => a.peer - b.peer)
  const sum = start?.values ?? own.values
  for (const { values } of others) for (let i = 0; i < sum.length; i++) sum[i]! += values[i]!
  place(x, first.ranges, sum)
}

const run = async (x: Float32Array, schedule: Schedule, name: WireCodec, group: Communicator): Promise<void> => {
  for (const step of schedule) await runStep(x, step, name, group)
}

/** What the options mean for this group and vector. */
const resolve = <A extends string>(group: Communicator, x: Float32Array, options: CollectiveOptions<A>) => ({
  name: options.codec ?? "f32",
  topology: { size: group.size, length: x.length, nodeSize: options.nodeSize ?? group.size }
})

/**
 * Sums `x` over all ranks, in place. x: f32 (n), of the same length everywhere; all ranks end with the same bits.
 *
 * Rejects with `RankLost`; `x` is then undefined. Throws `RangeError` for nodes that do not divide the group.
 */
export const allReduce = (
  group: Communicator,
  x: Float32Array,
  options: CollectiveOptions<AllReduceAlgorithm> = {}
): Promise<Float32Array> => {
  const { algorithm = "direct" } = options
  const { name, topology } = resolve(group, x, options)
  if (algorithm === "one-shot") {
    const schedule = oneShotSchedule(topology, group.rank)
    return group.exclusive(async () => {
      if (group.size > 1) settle(x, [{ from: 0, to: x.length }], name)
      await run(x, schedule, name, group)
      return x
    })
  }
  const scatter = reduceScatterSchedule(algorithm, topology, group.rank)
  const gather = allGatherSchedule(algorithm, topology, group.rank)
  return group.exclusive(async () => {
    await run(x, scatter, name, group)
    if (group.size > 1) settle(x, [segment(topology, group.rank)], name)
    await run(x, gather, name, group)
    return x
  })
}

/**
 * Fills `x`, f32 (n), with every rank's segment of it (see {@link segment}); own values are rounded to the codec too.
 *
 * Rejects with `RankLost`. Throws `RangeError` for nodes that do not divide the group.
 */
export const allGather = (
  group: Communicator,
  x: Float32Array,
  options: CollectiveOptions = {}
): Promise<Float32Array> => {
  const { name, topology } = resolve(group, x, options)
  const schedule = allGatherSchedule(options.algorithm ?? "direct", topology, group.rank)
  return group.exclusive(async () => {
    if (group.size > 1) settle(x, [segment(topology, group.rank)], name)
    await run(x, schedule, name, group)
    return x
  })
}

/**
 * Sums `x`, f32 (n), over all ranks, each one's own segment only: returns a view of it. The rest of `x` is undefined
 * afterwards. Rejects with `RankLost`. Throws `RangeError` for nodes that do not divide the group.
 */
export const reduceScatter = (
  group: Communicator,
  x: Float32Array,
  options: CollectiveOptions = {}
): Promise<Float32Array> => {
  const { name, topology } = resolve(group, x, options)
  const schedule = reduceScatterSchedule(options.algorithm ?? "direct", topology, group.rank)
  return group.exclusive(async () => {
    await run(x, schedule, name, group)
    const { from, to } = segment(topology, group.rank)
    return x.subarray(from, to)
  })
}

/**
 * Gives every rank the root's `x`, f32 (n), in place, rounded to the codec on all of them.
 *
 * Rejects with `RankLost`. Throws `RangeError` for an unknown root and nodes that do not divide the group.
 */
export const broadcast = (
  group: Communicator,
  x: Float32Array,
  root: number,
  options: CollectiveOptions = {}
): Promise<Float32Array> => {
  const { algorithm = "direct" } = options
  if (!Number.isInteger(root) || root < 0 || root >= group.size) {
    throw new RangeError(`Cannot broadcast from rank ${root} of ${group.size}`)
  }
  const { name, topology } = resolve(group, x, options)
  const schedule = broadcastSchedule(algorithm, topology, group.rank, root)
  const pieces = Array.from({ length: group.size }, (_, at) => segment(topology, at))
  return group.exclusive(async () => {
    const whole = [{ from: 0, to: x.length }]
    if (group.size > 1 && group.rank === root) settle(x, algorithm === "ring" ? pieces : whole, name)
    await run(x, schedule, name, group)
    return x
  })
}
