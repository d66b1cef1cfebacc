/**
 * Where q, k and v lie in checkpoints that hold them in one tensor.
 * @module
 */
import type { Architecture } from "../Architecture.ts"
import type { TensorPlace } from "../Family.ts"

type Queries = Readonly<Record<"attn.q" | "attn.k" | "attn.v", (architecture: Architecture) => TensorPlace>>

/** All of q, then all of k, then all of v. */
export const fusedQkv = (name: string, layout: Pick<TensorPlace, "transposed"> = {}): Queries => {
  const rows = ({ attention: { heads, kvHeads, headDim } }: Architecture, from: number, to: number): TensorPlace => {
    const starts = [0, heads, heads + kvHeads, heads + 2 * kvHeads]
    return { name, ...layout, from: (starts[from] ?? 0) * headDim, to: (starts[to] ?? 0) * headDim }
  }
  return { "attn.q": (a) => rows(a, 0, 1), "attn.k": (a) => rows(a, 1, 2), "attn.v": (a) => rows(a, 2, 3) }
}

/** Head of keys by head of keys: its queries, the key, the value. */
export const fusedQkvByHead = (name: string): Queries => {
  const rows = ({ attention: { heads, kvHeads, headDim } }: Architecture, part: 0 | 1 | 2): TensorPlace => {
    const queries = heads / kvHeads
    const from = part === 0 ? 0 : queries + part - 1
    return { name, groups: kvHeads, from: from * headDim, to: (part === 0 ? queries : from + 1) * headDim }
  }
  return { "attn.q": (a) => rows(a, 0), "attn.k": (a) => rows(a, 1), "attn.v": (a) => rows(a, 2) }
}
