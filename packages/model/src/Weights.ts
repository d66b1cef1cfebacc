/**
 * The tensors of a checkpoint by role, checked against the architecture: what a graph asks for is there and has its
 * shape, and nothing that the checkpoint holds is left out silently.
 * @module
 */
import type { Architecture } from "./Architecture.ts"
import { assertReadable, type Checkpoint, type CheckpointTensor, type Slice } from "./Checkpoint.ts"
import type { BlockRole, Dialect, ModelRole, TensorPlace } from "./Family.ts"
import { extents, placedSlice } from "./internal/placedSlice.ts"
import { WeightMismatch } from "./ModelError.ts"
import { blockRoles, type Expected, modelRoles } from "./roles.ts"

/** Which parameter of a role. */
type Parameter = "weight" | "bias"

/** The tensors of a model by role; `expert` is for the roles of experts. */
export interface Weights {
  readonly checkpoint: Checkpoint
  /** A weight of the architecture; it exists and has the right shape. */
  readonly weight: (role: BlockRole | ModelRole, block?: number, expert?: number) => Slice
  /** The bias that belongs to it, if the architecture has one. */
  readonly bias: (role: BlockRole | ModelRole, block?: number, expert?: number) => Slice | undefined
}

/**
 * Finds every tensor of the architecture in the checkpoint. O(tensors).
 *
 * Throws `WeightMismatch` for a tensor that is missing, has another shape than the architecture says, or is not known to
 * the family at all, and `FormatError` for one whose type cannot be read.
 */
export const bindWeights = (checkpoint: Checkpoint, architecture: Architecture, dialect: Dialect): Weights => {
  const slices = new Map<string, Slice>()
  /** Values that the architecture takes, by tensor. */
  const used = new Map<string, number>()
  const mismatch = (tensor: string, detail: string) => new WeightMismatch({ file: checkpoint.path, tensor, detail })
  const find = finder(checkpoint, dialect)

  const bind = (role: BlockRole | ModelRole, { shape, bias, only }: Expected, block = 0, expert = 0): void => {
    const entry = dialect.tensors[role]
    if (entry === undefined) throw mismatch(role, `is needed, but family "${architecture.family}" has no name for it`)
    const place = placeOf(entry, architecture, expert)
    const stem = place.name.replace("{}", `${block}`).replace("{expert}", `${expert}`)
    const take = (parameter: Parameter, expected: ReadonlyArray<number>): void => {
      const name = `${stem}.${parameter}`
      const tensor = find(stem, parameter)
      if (tensor === undefined) throw mismatch(name, "is missing")
      const part = placedSlice(checkpoint, tensor, place)
      const found = part === undefined || typeof entry === "string" ? tensor.shape : extents(part)
      if (part === undefined || !sameShape(found, expected)) {
        throw mismatch(tensor.name, `has shape [${tensor.shape}], the architecture says [${expected}]`)
      }
      used.set(tensor.name, (used.get(tensor.name) ?? 0) + part.rows * part.columns)
      assertReadable(checkpoint, tensor)
      slices.set(key(role, block, expert, parameter), part)
    }
    if (only !== "bias") take("weight", shape)
    if (bias) take("bias", shape.slice(0, 1))
  }

  for (const [role, expected] of modelRoles(architecture)) bind(role, expected)
  for (let block = 0; block < architecture.blocks; block++) {
    for (const [role, expected] of blockRoles(architecture, block)) {
      for (let expert = 0; expert < (expected.experts ?? 1); expert++) bind(role, expected, block, expert)
    }
  }
  for (const { name, shape } of checkpoint.tensors.values()) {
    const taken = used.get(name)
    const values = shape.reduce((product, extent) => product * extent, 1)
    if (taken === undefined && !checkpoint.empty?.has(name) && !isIgnored(name, architecture, dialect)) {
      throw mismatch(
        name,
        `has no place in the architecture "${architecture.family}" with ${architecture.blocks} blocks`
      )
    }
    if (taken !== undefined && taken < values) {
      throw mismatch(name, `has shape [${shape}], of whose ${values} values the architecture takes ${taken}`)
    }
  }
  const get = (role: BlockRole | ModelRole, parameter: Parameter, block = 0, expert = 0) => {
    const tied = role === "head" && parameter === "weight" && architecture.tiedEmbeddings
    return slices.get(key(tied ? "embedding" : role, block, expert, parameter))
  }
  return {
    checkpoint,
    weight: (role, block, expert) => {
      const found = get(role, "weight", block, expert)
      if (found === undefined) throw new RangeError(`There is no weight "${role}" in block ${block}`)
      return found
    },
    bias: (role, block, expert) => get(role, "bias", block, expert)
  }
}

/** Whether a tensor may be there without being used. An output matrix beside tied embeddings is a copy of them. */
const isIgnored = (name: string, { tiedEmbeddings }: Architecture, { tensors, ignored }: Dialect): boolean =>
  (tiedEmbeddings && typeof tensors.head === "string" && name === `${tensors.head}.weight`) ||
  (ignored?.some((pattern) => pattern.test(name)) ?? false)

/** A vector may stand for a matrix of one row. */
const sameShape = (found: ReadonlyArray<number>, expected: ReadonlyArray<number>): boolean => {
  const wanted = found.length === 1 && expected[0] === 1 ? expected.slice(1) : expected
  return found.length === wanted.length && found.every((extent, i) => extent === wanted[i])
}

type Entry = NonNullable<Dialect["tensors"][BlockRole | ModelRole]>

const placeOf = (entry: Entry, architecture: Architecture, expert: number): TensorPlace => {
  if (typeof entry === "string") return { name: entry }
  return typeof entry === "function" ? entry(architecture, expert) : entry
}

const key = (role: string, block: number, expert: number, parameter: Parameter) =>
  `${block}/${expert}/${role}.${parameter}`

/** How the first checkpoints, converted from TensorFlow, call the parameters of norms. */
const OLD_NAMES = { weight: "gamma", bias: "beta" }

/** Finds a parameter under its name, without the prefix that not all checkpoints have, or under its old name. */
const finder = ({ tensors }: Checkpoint, { optionalPrefix }: Dialect) => {
  const variants = (name: string) =>
    optionalPrefix !== undefined && name.startsWith(optionalPrefix) ? [name, name.slice(optionalPrefix.length)] : [name]
  return (stem: string, parameter: Parameter): CheckpointTensor | undefined => {
    for (const last of [parameter, OLD_NAMES[parameter]]) {
      for (const name of variants(`${stem}.${last}`)) {
        const tensor = tensors.get(name)
        if (tensor !== undefined) return tensor
      }
    }
    return undefined
  }
}
