/**
 * What lies between two linear layers, as far as the order of features is concerned, and what of it a rank can compute.
 * @module
 */
import { PlanError } from "./PlanError.ts"

/** A map that treats each output channel of the first layers by itself: the same columns of each of them go in. */
export interface Channels {
  readonly kind: "channels"
  /** Outputs of each first layer. */
  readonly channels: number
  /**
   * Features that the map makes of each channel: 1 for an activation; k*k for the patches of a k x k convolution;
   * 2 for a graph layer that joins a node's own features with its neighbours'.
   * @default {1}
   */
  readonly copies?: number
  /**
   * Whether the copies of a channel lie together (feature c * copies + i), or each copy of all channels does (feature
   * i * channels + c).
   * @default {"together"}
   */
  readonly layout?: "together" | "apart"
}

/** Attention: the first layers are q, k, v; query head h reads key and value head floor(h * kvHeads / heads). */
export interface Heads {
  readonly kind: "heads"
  readonly heads: number
  /** Divides `heads`: as many (multi-head), 1 (multi-query) or between (grouped). */
  readonly kvHeads: number
  readonly headDim: number
}

/**
 * The map F from the outputs of the first layers to the input of the second one. It may mix rows (tokens, nodes of a
 * graph) at will, and parameters that belong to a channel are cut like a bias.
 */
export type Structure = Channels | Heads

/** What one rank computes of the first layers and of F. */
export interface Part {
  /** The output columns of this rank, in its order: per first layer for heads, one list for all of them for channels. */
  readonly columns: ReadonlyArray<Uint32Array>
  /** The features of F's output that come out, in order: (hidden / ranks). */
  readonly produced: Uint32Array
}

/** Features of F's output, which the second layer takes. */
export const hiddenFeatures = (structure: Structure): number =>
  structure.kind === "heads" ? structure.heads * structure.headDim : structure.channels * (structure.copies ?? 1)

const refuse = (reason: "ranks" | "shape" | "commute", detail: string, subject = "structure"): never => {
  throw new PlanError({ reason, subject, detail })
}

/**
 * Checks sizes, and that `ranks` divides the channels or query heads. Throws `PlanError` (`shape`, `ranks`), of `subject`.
 */
export const checkStructure = (structure: Structure, ranks: number, subject?: string): void => {
  const { kind, ...sizes } = structure
  for (const [name, value] of Object.entries(sizes)) {
    if (typeof value === "number" && (!Number.isSafeInteger(value) || value < 1)) refuse("shape", `${name} is ${value}`)
  }
  const [units, count] = kind === "heads" ? ["heads", structure.heads] : ["channels", structure.channels]
  if (!Number.isSafeInteger(ranks) || ranks < 1 || count % ranks !== 0)
    refuse("ranks", `${count} ${units} for ${ranks} ranks`, subject)
  if (kind !== "heads") return
  const { heads, kvHeads } = structure
  if (heads % kvHeads !== 0) refuse("shape", `${heads} query heads for ${kvHeads} key heads`)
  if (kvHeads % ranks !== 0 && ranks % kvHeads !== 0)
    refuse("ranks", `${kvHeads} key heads for ${ranks} ranks`, subject)
}

const span = (first: number, length: number): Uint32Array => Uint32Array.from({ length }, (_, i) => first + i)

const channelPart = ({ channels, copies = 1, layout = "together" }: Channels, own: Uint32Array): Part => {
  const count = own.length
  const produced = Uint32Array.from({ length: count * copies }, (_, i) =>
    layout === "together"
      ? (own[Math.floor(i / copies)] ?? 0) * copies + (i % copies)
      : Math.floor(i / count) * channels + (own[i % count] ?? 0)
  )
  return { columns: [own], produced }
}

/** `inner`: per key head of the rank, the order of its channels. */
const headPart = (
  { headDim }: Heads,
  heads: ReadonlyArray<number>,
  kvHeads: ReadonlyArray<number>,
  inner: ReadonlyArray<Uint32Array>
): Part => {
  const whole = (of: ReadonlyArray<number>) =>
    Uint32Array.from(of.flatMap((head) => [...span(head * headDim, headDim)]))
  const ordered = (of: ReadonlyArray<number>, order: (at: number) => Uint32Array | undefined) =>
    Uint32Array.from(of.flatMap((head, at) => Array.from(order(at) ?? [], (channel) => head * headDim + channel)))
  const perGroup = heads.length / kvHeads.length
  return {
    columns: [whole(heads), whole(kvHeads), ordered(kvHeads, (at) => inner[at])],
    produced: ordered(heads, (at) => inner[Math.floor(at / perGroup)])
  }
}

/** The part of a rank in natural order: the next n-th of the channels or heads. Key heads fewer than ranks are repeated. */
export const naturalPart = (structure: Structure, ranks: number, rank: number): Part => {
  if (structure.kind === "channels") {
    const count = structure.channels / ranks
    return channelPart(structure, span(rank * count, count))
  }
  const { heads, kvHeads, headDim } = structure
  const own = [...span((rank * heads) / ranks, heads / ranks)]
  const groups = [...new Set(own.map((head) => Math.floor((head * kvHeads) / heads)))]
  return headPart(
    structure,
    own,
    groups,
    groups.map(() => span(0, headDim))
  )
}

/**
 * The part of a rank that yields exactly the features in `wanted`, as near to their order as the structure allows.
 *
 * Throws `PlanError` (`commute`) with the reason if the rank would need a channel or head of another rank as well.
 * O(wanted).
 */
export const partFor = (structure: Structure, wanted: Uint32Array): Part => {
  if (structure.kind === "channels") {
    const { channels, copies = 1, layout = "together" } = structure
    const channelOf = (feature: number) => (layout === "together" ? Math.floor(feature / copies) : feature % channels)
    const own = Uint32Array.from(new Set(Array.from(wanted, channelOf)))
    if (own.length * copies !== wanted.length) {
      refuse("commute", `a rank's ${wanted.length} features come from ${own.length} channels of ${copies} features`)
    }
    return channelPart(structure, own)
  }
  const { heads, kvHeads, headDim } = structure
  const channelsOf = new Map<number, Array<number>>()
  for (const feature of wanted) {
    const head = Math.floor(feature / headDim)
    const seen = channelsOf.get(head)
    if (seen === undefined) channelsOf.set(head, [feature % headDim])
    else seen.push(feature % headDim)
  }
  if (channelsOf.size * headDim !== wanted.length) {
    refuse("commute", `a rank's ${wanted.length} features come from ${channelsOf.size} heads of ${headDim} channels`)
  }
  const groups = new Map<number, Array<number>>()
  for (const head of channelsOf.keys()) {
    const group = Math.floor((head * kvHeads) / heads)
    groups.set(group, [...(groups.get(group) ?? []), head])
  }
  const members = [...groups.values()]
  const perGroup = members[0]?.length ?? 0
  if (members.some(({ length }) => length !== perGroup)) {
    refuse("commute", `a rank's key heads serve ${members.map(({ length }) => length).join(", ")} query heads`)
  }
  // One order per key head: values are shared by its query heads. A head that wants another one is sorted afterwards.
  const inner = members.map(([head = 0]) => Uint32Array.from(channelsOf.get(head) ?? []))
  return headPart(structure, members.flat(), [...groups.keys()], inner)
}
