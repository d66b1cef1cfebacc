/**
 * The tensors of a checkpoint by role, checked against the architecture: what a graph asks for is there and has its
 * shape, and nothing that the checkpoint holds is left out silently.
 * @module
 */
import type { Architecture } from "./Architecture.ts"
import { assertReadable, type Checkpoint, type CheckpointTensor, type Slice, slice } from "./Checkpoint.ts"
import type { BlockRole, Dialect, ModelRole } from "./Family.ts"
import { WeightMismatch } from "./ModelError.ts"

/** Which parameter of a role. */
type Parameter = "weight" | "bias"

/** The tensors of a model by role. */
export interface Weights {
  readonly checkpoint: Checkpoint
  /** A weight of the architecture; it exists and has the right shape. */
  readonly weight: (role: BlockRole | ModelRole, block?: number) => Slice
  /** The bias that belongs to it, if the architecture has one. */
  readonly bias: (role: BlockRole | ModelRole, block?: number) => Slice | undefined
}

interface Expected {
  readonly shape: ReadonlyArray<number>
  readonly bias: boolean
}

/** Shape of the weight of each role that a block of the architecture has, and whether there is a bias of its rows. */
const blockRoles = (a: Architecture): ReadonlyMap<BlockRole, Expected> => {
  const { heads, kvHeads, headDim, bias } = a.attention
  const norm: Expected = { shape: [a.hiddenSize], bias: a.norm.kind === "layer" }
  const matrix = (rows: number, columns: number, biased: boolean): Expected => ({
    shape: [rows, columns],
    bias: biased
  })
  const roles = new Map<BlockRole, Expected>([
    ["attn.norm", norm],
    ["attn.q", matrix(heads * headDim, a.hiddenSize, bias.qkv)],
    ["attn.k", matrix(kvHeads * headDim, a.hiddenSize, bias.qkv)],
    ["attn.v", matrix(kvHeads * headDim, a.hiddenSize, bias.qkv)],
    ["attn.output", matrix(a.hiddenSize, heads * headDim, bias.output)],
    ["mlp.norm", norm],
    ["mlp.up", matrix(a.feedForward.size, a.hiddenSize, a.feedForward.bias)],
    ["mlp.down", matrix(a.hiddenSize, a.feedForward.size, a.feedForward.bias)]
  ])
  if (a.feedForward.kind === "gated") {
    roles.set("mlp.gate", matrix(a.feedForward.size, a.hiddenSize, a.feedForward.bias))
  }
  if (a.attention.qkNorm !== undefined) {
    const size = (count: number) => (a.attention.qkNorm === "head" ? headDim : count * headDim)
    roles.set("attn.qNorm", { shape: [size(heads)], bias: false })
    roles.set("attn.kNorm", { shape: [size(kvHeads)], bias: false })
  }
  return roles
}

const modelRoles = (a: Architecture): ReadonlyMap<ModelRole, Expected> => {
  const matrix: Expected = { shape: [a.vocabSize, a.hiddenSize], bias: false }
  const roles = new Map<ModelRole, Expected>([
    ["embedding", matrix],
    ["norm", { shape: [a.hiddenSize], bias: a.norm.kind === "layer" }]
  ])
  return a.tiedEmbeddings ? roles : roles.set("head", matrix)
}

/** Parameters of a block, and of what lies outside of the blocks (embedding, final norm, head). */
export const parameterCounts = (a: Architecture): { readonly block: number; readonly outside: number } => {
  const sum = (roles: Iterable<Expected>) =>
    [...roles].reduce((total, { shape, bias }) => {
      const count = shape.reduce((product, extent) => product * extent, 1)
      return total + count + (bias ? (shape[0] ?? 0) : 0)
    }, 0)
  return { block: sum(blockRoles(a).values()), outside: sum(modelRoles(a).values()) }
}

/** Shapes (rows, columns) of the matrices of a block. */
export const blockMatrices = (a: Architecture): ReadonlyArray<readonly [rows: number, columns: number]> =>
  [...blockRoles(a).values()].flatMap(({ shape: [rows, columns] }) =>
    rows === undefined || columns === undefined ? [] : [[rows, columns] as const]
  )

/**
 * Finds every tensor of the architecture in the checkpoint. O(tensors).
 *
 * Throws `WeightMismatch` for a tensor that is missing, has another shape than the architecture says, or is not known to
 * the family at all, and `FormatError` for one whose type cannot be read.
 */
export const bindWeights = (checkpoint: Checkpoint, architecture: Architecture, dialect: Dialect): Weights => {
  const slices = new Map<string, Slice>()
  const used = new Set<string>()
  const mismatch = (tensor: string, detail: string) => new WeightMismatch({ file: checkpoint.path, tensor, detail })

  const bind = (role: BlockRole | ModelRole, block: number | undefined, expected: Expected): void => {
    const entry = dialect.tensors[role]
    if (entry === undefined) throw mismatch(role, `is needed, but family "${architecture.family}" has no name for it`)
    const place = typeof entry === "string" ? { name: entry } : entry(architecture)
    const stem = place.name.replace("{}", `${block ?? ""}`)
    const take = (parameter: Parameter, shape: ReadonlyArray<number>): void => {
      const name = `${stem}.${parameter}`
      const tensor = checkpoint.tensors.get(name)
      if (tensor === undefined) throw mismatch(name, "is missing")
      used.add(name)
      const rows = "from" in place ? [place.from, place.to] : undefined
      const found = rows === undefined ? tensor.shape : [(rows[1] ?? 0) - (rows[0] ?? 0), ...tensor.shape.slice(1)]
      const inside = rows === undefined || (rows[1] ?? 0) <= (tensor.shape[0] ?? 0)
      if (!inside || found.length !== shape.length || found.some((extent, i) => extent !== shape[i])) {
        throw mismatch(name, `has shape [${tensor.shape}], the architecture says [${shape}]`)
      }
      assertReadable(checkpoint, tensor)
      slices.set(key(role, block, parameter), part(checkpoint, tensor, rows))
    }
    take("weight", expected.shape)
    if (expected.bias) take("bias", expected.shape.slice(0, 1))
  }

  for (const [role, expected] of modelRoles(architecture)) bind(role, undefined, expected)
  const roles = blockRoles(architecture)
  for (let block = 0; block < architecture.blocks; block++) {
    for (const [role, expected] of roles) bind(role, block, expected)
  }
  // an output matrix beside tied embeddings is a copy of them
  if (architecture.tiedEmbeddings && typeof dialect.tensors.head === "string")
    used.add(`${dialect.tensors.head}.weight`)
  for (const name of checkpoint.tensors.keys()) {
    if (!used.has(name) && !dialect.ignored?.some((pattern) => pattern.test(name))) {
      throw mismatch(
        name,
        `has no place in the architecture "${architecture.family}" with ${architecture.blocks} blocks`
      )
    }
  }
  const get = (role: BlockRole | ModelRole, block: number | undefined, parameter: Parameter) =>
    slices.get(key(role === "head" && architecture.tiedEmbeddings ? "embedding" : role, block, parameter))
  return {
    checkpoint,
    weight: (role, block) => {
      const found = get(role, block, "weight")
      if (found === undefined) throw new RangeError(`There is no weight "${role}" in block ${block}`)
      return found
    },
    bias: (role, block) => get(role, block, "bias")
  }
}

const key = (role: string, block: number | undefined, parameter: Parameter) => `${block ?? ""}/${role}.${parameter}`

/** Rows of a matrix, or elements of a vector. */
const part = (checkpoint: Checkpoint, tensor: CheckpointTensor, rows: ReadonlyArray<number> | undefined): Slice => {
  if (rows === undefined) return slice(checkpoint, tensor)
  if (tensor.shape.length > 1) return slice(checkpoint, tensor, rows[0], rows[1])
  const column = { ...tensor, shape: [tensor.shape[0] ?? 1, 1] }
  return slice(checkpoint, column, rows[0], rows[1])
}
