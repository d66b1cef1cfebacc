/**
 * The parameters that an architecture says a model has: their roles, shapes and numbers.
 * @module
 */
import type { Architecture } from "./Architecture.ts"
import type { BlockRole, ModelRole } from "./Family.ts"

/** The parameters of a role. */
export interface Expected {
  /** Of the weight. */
  readonly shape: ReadonlyArray<number>
  /** Whether there is a bias, of the length of the weight's first axis. */
  readonly bias: boolean
  /** There is a bias and no weight: that of a tied output matrix. */
  readonly only?: "bias"
  /** How many experts play the role. @default 1 */
  readonly experts?: number
}

const matrix = (rows: number, columns: number, bias: boolean): Expected => ({ shape: [rows, columns], bias })

const normOf = ({ norm, hiddenSize }: Architecture): Expected => ({
  shape: [hiddenSize],
  bias: norm.bias ?? norm.kind === "layer"
})

/** What block `index` has, in the order of the roles of its branches. */
export const blockRoles = (a: Architecture, index: number): ReadonlyMap<BlockRole, Expected> => {
  const { heads, kvHeads, headDim, bias, qkNorm } = a.attention
  const { placement = "before" } = a.norm
  const roles = new Map<BlockRole, Expected>()
  const norms = (pre: BlockRole, post: BlockRole) => {
    if (placement === "before" || placement === "around") roles.set(pre, normOf(a))
    if (placement !== "before") roles.set(post, normOf(a))
  }
  norms("attn.norm", "attn.postNorm")
  roles.set("attn.q", matrix(heads * headDim, a.hiddenSize, bias.qkv))
  roles.set("attn.k", matrix(kvHeads * headDim, a.hiddenSize, bias.qkv))
  roles.set("attn.v", matrix(kvHeads * headDim, a.hiddenSize, bias.qkv))
  roles.set("attn.output", matrix(a.hiddenSize, heads * headDim, bias.output))
  if (qkNorm !== undefined) {
    const size = (count: number) => (qkNorm === "head" ? headDim : count * headDim)
    roles.set("attn.qNorm", { shape: [size(heads)], bias: false })
    roles.set("attn.kNorm", { shape: [size(kvHeads)], bias: false })
  }
  if (a.parallelResidual !== "shared-norm") norms("mlp.norm", "mlp.postNorm")
  const { kind, size, bias: biased, experts } = a.feedForward
  const branch = (stem: "mlp" | "expert" | "shared", width: number, count = 1) => {
    if (kind === "gated") roles.set(`${stem}.gate`, { ...matrix(width, a.hiddenSize, biased), experts: count })
    roles.set(`${stem}.up`, { ...matrix(width, a.hiddenSize, biased), experts: count })
    roles.set(`${stem}.down`, { ...matrix(a.hiddenSize, width, biased), experts: count })
  }
  if (experts === undefined || a.layers[index]?.dense) {
    branch("mlp", size)
    return roles
  }
  roles.set("router", matrix(experts.count, a.hiddenSize, false))
  branch("expert", experts.size, experts.count)
  if (experts.shared !== undefined) {
    if (experts.shared.gated) roles.set("shared.router", matrix(1, a.hiddenSize, false))
    branch("shared", experts.shared.size)
  }
  return roles
}

/** What lies outside of the blocks. */
export const modelRoles = (a: Architecture): ReadonlyMap<ModelRole, Expected> => {
  const table = matrix(a.vocabSize, a.hiddenSize, false)
  const roles = new Map<ModelRole, Expected>([["embedding", table]])
  if (a.learnedPositions !== undefined) {
    roles.set("embedding.positions", matrix(a.learnedPositions.rows, a.hiddenSize, false))
  }
  if (a.tokenTypes !== undefined) roles.set("embedding.tokenTypes", matrix(a.tokenTypes, a.hiddenSize, false))
  if (a.embeddingNorm) roles.set("embedding.norm", normOf(a))
  if (a.headTransform !== undefined) roles.set("head.transform", matrix(a.hiddenSize, a.hiddenSize, true))
  if (hasFinalNorm(a)) roles.set("norm", normOf(a))
  const bias = a.headBias ?? false
  if (!a.tiedEmbeddings) return roles.set("head", { ...table, bias })
  return bias ? roles.set("head", { ...table, bias, only: "bias" }) : roles
}

/** Whether the head norms: where blocks norm their sums, the stream comes normed already. */
export const hasFinalNorm = ({ norm, headTransform }: Architecture): boolean =>
  norm.placement !== "sum" || headTransform !== undefined

const countOf = ({ shape, bias, only, experts = 1 }: Expected): number => {
  const weight = only === "bias" ? 0 : shape.reduce((product, extent) => product * extent, 1)
  return experts * (weight + (bias ? (shape[0] ?? 0) : 0))
}

const sum = (roles: ReadonlyMap<unknown, Expected>): number =>
  [...roles.values()].reduce((total, expected) => total + countOf(expected), 0)

/** Parameters of block `index`. */
export const blockParameters = (a: Architecture, index: number): number => sum(blockRoles(a, index))

/** Parameters of what lies outside of the blocks: embedding, final norm, head. */
export const outsideParameters = (a: Architecture): number => sum(modelRoles(a))

/** Roles that are held in f32 whatever the weight format: see `makeExperts`. */
const ROUTERS: ReadonlySet<BlockRole> = new Set<BlockRole>(["router", "shared.router"])

/** Shapes (rows, columns) of the matrices of block `index` that take a weight format; those of experts once for each. */
export const blockMatrices = (
  a: Architecture,
  index: number
): ReadonlyArray<readonly [rows: number, columns: number]> =>
  [...blockRoles(a, index)].flatMap(
    ([
      role,
      {
        shape: [rows, columns],
        experts = 1
      }
    ]) =>
      rows === undefined || columns === undefined || ROUTERS.has(role)
        ? []
        : Array.from({ length: experts }, () => [rows, columns] as const)
  )
