/**
 * A rank's part of a model under tensor parallelism: whole heads, and a part of the features between the layers of the
 * feed-forward branch.
 *
 * The layers that read the residual stream are cut along their outputs (q, k, v by heads; gate, up), those that write it
 * along their inputs (output, down): each rank's result is one addend of the branch. Key heads fewer than ranks are
 * repeated.
 * @module
 */
import { checkStructure, type Heads, identity, naturalPart, type Part, PlanError, partFor } from "@swarm/tp-kernels"
import type { Architecture } from "./Architecture.ts"
import type { Slice } from "./Checkpoint.ts"
import type { BlockRole } from "./Family.ts"
import { Unsupported } from "./ModelError.ts"
import { slicePart } from "./slicePart.ts"
import type { Weights } from "./Weights.ts"

/** Which part of a span: rank 0 .. ranks-1. */
export interface Shard {
  readonly rank: number
  readonly ranks: number
}

/** The rank's own architecture, and its weights. */
export interface Sharded {
  readonly architecture: Architecture
  readonly weights: Weights
}

/** What one rank holds of a block, as features of the whole model, in the rank's order. */
interface Holding {
  readonly q: Uint32Array
  readonly k: Uint32Array
  readonly v: Uint32Array
  /** Features of the attention, which the output layer reads. */
  readonly attended: Uint32Array
  readonly features: Uint32Array
}

/**
 * Cuts a model for one rank. Reads nothing.
 *
 * Where the layer that writes the residual stream has act-order groups, the layers before it are cut and ordered as it
 * needs them (Algorithm 3 of arXiv 2402.04925): always in the feed-forward branch; in the attention if every rank then
 * has whole heads, else heads are cut in their natural order and the rank sorts their channels itself, group by group,
 * with zeros where a group does not fill its blocks. So no rank ever needs another one's features.
 *
 * Throws `PlanError` (`ranks`) for heads or features that do not divide among the ranks, `Unsupported` for what a rank
 * cannot compute by itself, `RangeError` for a rank that there is not.
 */
export const shardModel = (architecture: Architecture, weights: Weights, { rank, ranks }: Shard): Sharded => {
  if (!(Number.isInteger(ranks) && Number.isInteger(rank) && rank >= 0 && rank < ranks)) {
    throw new RangeError(`Cannot plan rank ${rank} of ${ranks}`)
  }
  const { attention, feedForward } = architecture
  const refuse = (feature: string): never => {
    throw new Unsupported({ feature: `Tensor parallelism ${feature}`, detail: "share the model by blocks instead" })
  }
  if (feedForward.experts !== undefined) refuse("for a mixture of experts")
  if (attention.qkNorm === "all") refuse("with a norm over all heads")
  if (attention.alibi !== undefined) refuse("with a linear position bias")
  if (architecture.encoder) refuse("for an encoder")
  const { heads, kvHeads, headDim } = attention
  const structure = { kind: "heads", heads, kvHeads, headDim } as const
  checkStructure(structure, ranks, "attention")
  if (feedForward.size % ranks !== 0) {
    const detail = `${feedForward.size} features for ${ranks} ranks`
    throw new PlanError({ reason: "ranks", subject: "feed-forward", detail })
  }
  const holdings = new Map<number | undefined, Holding>()
  const holdingOf = (block: number | undefined): Holding => {
    const known = holdings.get(block)
    if (known !== undefined) return known
    const { columns, produced } = headsFor(structure, weights.weight("attn.output", block), { rank, ranks })
    const [q, k, v] = columns
    if (q === undefined || k === undefined || v === undefined) throw new RangeError("Attention has q, k and v")
    const features = share(weights.weight("mlp.down", block), { rank, ranks })
    const made: Holding = { q, k, v, attended: produced, features }
    holdings.set(block, made)
    return made
  }
  const size = feedForward.size / ranks
  return {
    architecture: {
      ...architecture,
      attention: {
        ...attention,
        heads: heads / ranks,
        kvHeads: Math.max(1, kvHeads / ranks)
      },
      feedForward: { ...feedForward, size }
    },
    weights: {
      checkpoint: weights.checkpoint,
      weight: (role, block, expert) => {
        const whole = weights.weight(role, block, expert)
        const outputs = outputsOf(role, () => holdingOf(block))
        if (outputs !== undefined) return slicePart(whole, outputs, identity(whole.columns))
        const inputs = inputsOf(role, () => holdingOf(block))
        return inputs === undefined ? whole : slicePart(whole, identity(whole.rows), inputs)
      },
      bias: (role, block, expert) => {
        const whole = weights.bias(role, block, expert)
        if (whole === undefined) return undefined
        const outputs = outputsOf(role, () => holdingOf(block))
        if (outputs !== undefined) return takeElements(whole, outputs)
        // the ranks' results are added: one of them brings the bias
        return rank > 0 && inputsOf(role, () => holdingOf(block)) !== undefined ? undefined : whole
      }
    }
  }
}

/** Features of a rank in the order of the groups of the layer that reads them. */
const share = ({ tensor, columns }: Slice, { rank, ranks }: Shard): Uint32Array => {
  const order = tensor.matrix?.order ?? identity(columns)
  return order.slice((rank * columns) / ranks, ((rank + 1) * columns) / ranks)
}

/** The heads of a rank: as the output layer wants them if that gives every rank whole heads, else in natural order. */
const headsFor = (structure: Heads, output: Slice, { rank, ranks }: Shard): Part => {
  const channels = Math.max(1, structure.kvHeads / ranks) * structure.headDim
  try {
    const parts = Array.from({ length: ranks }, (_, at) => partFor(structure, share(output, { rank: at, ranks })))
    const own = parts[rank]
    if (own !== undefined && parts.every(({ columns }) => columns[1]?.length === channels)) return own
  } catch (cause) {
    if (!(cause instanceof PlanError)) throw cause
  }
  return naturalPart(structure, ranks, rank)
}

const outputsOf = (role: string, holding: () => Holding): Uint32Array | undefined => {
  switch (role as BlockRole) {
    case "attn.q":
      return holding().q
    case "attn.k":
      return holding().k
    case "attn.v":
      return holding().v
    case "mlp.gate":
    case "mlp.up":
      return holding().features
    default:
      return undefined
  }
}

const inputsOf = (role: string, holding: () => Holding): Uint32Array | undefined => {
  if (role === "attn.output") return holding().attended
  return role === "mlp.down" ? holding().features : undefined
}

/** Elements of a vector, which is one row, or one column of a part of a greater one. */
const takeElements = (s: Slice, elements: Uint32Array): Slice =>
  s.columns === 1 ? slicePart(s, elements, identity(1)) : slicePart(s, identity(1), elements)
