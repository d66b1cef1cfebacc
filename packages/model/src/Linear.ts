/**
 * Linear layers of a graph: which kernel computes them, what it is fed with, and how that is made from the checkpoint.
 *
 * Two kernels run them. `MatMulNBits` takes integer codes in blocks with scales; with int8 activations it is the fast
 * path for 4 and 8 bits, with f32 activations it is one for 4 bits only (8 bits are dequantized anew at each call, 20
 * times slower than a dense matmul), so exact mode holds 8-bit weights as f32. The dense kernel takes f32: a 16-bit
 * operand would be widened at each call, so f16 and bf16 weights are held as f32 too.
 * @module
 */
import type { Value } from "@swarm/onnx"
import { type BlockLayout, sameLayout } from "@swarm/quant"
import { readFloats, type Slice } from "./Checkpoint.ts"
import { makeBlockKernel } from "./internal/blockKernel.ts"
import { makeDenseKernel, reorderRows } from "./internal/denseKernel.ts"
import type { Operators } from "./internal/operators.ts"
import type { Activations, Initializer, OffsetFold, PlannedMatrix, WeightFormat } from "./Plan.ts"

/** How weights are held and activations are multiplied. */
export interface LinearOptions {
  readonly weights: WeightFormat
  /** Values of a block of q4 and q8. */
  readonly group: number
  readonly activations: Activations
}

/**
 * What is done against the rounding of activations to int8, whose step is the greatest magnitude of a block / 127.
 * - `double`: what the rounding loses is rounded in its turn and multiplied as a second row: an error 250 times smaller
 *   for twice the rows, which on a single row is little.
 */
export type Rounding = "plain" | "double"

/** One matrix and its bias, as the checkpoint holds them. */
export interface LinearPart {
  readonly weight: Slice
  readonly bias: Slice | undefined
}

/** A linear layer y = x Wᵀ + b of a graph. */
export interface Linear {
  readonly inFeatures: number
  readonly outFeatures: number
  readonly initializers: ReadonlyArray<Initializer>
  /** What became of each of its parts. */
  readonly matrices: ReadonlyArray<PlannedMatrix>
  /** Rows of x from which on the bits of a row do not depend on the others: 2 if a kernel sees a single row as one. */
  readonly leastRows: 1 | 2
  /** The layer's offsets, if an engine can carry them in its weights. */
  readonly fold: OffsetFold | undefined
  /** Adds the nodes of the layer over x (..., inFeatures). */
  readonly apply: (operators: Operators, x: Value) => Value
}

/** The part of a layer that depends on its kernel. */
export type Kernel = Pick<Linear, "initializers" | "leastRows" | "fold" | "apply">

/** What a matrix becomes: f32 (no `layout`) or blocks, and how its values are made. */
export interface Form {
  readonly layout?: BlockLayout
  readonly encoding: "exact" | "f16" | "q4" | "q8"
  /** Order of the input features that the blocks are in (see `StoredMatrix`). */
  readonly order?: Uint32Array
  /** Order of the output features of each part. */
  readonly rows?: Uint32Array
}

/** What a layer has that others have not. */
export interface LinearExtras {
  /** @default "plain" */
  readonly rounding?: Rounding
  /** Output i of each part is output outputs[i] of its matrix: what the layer behind asks for. */
  readonly outputs?: Uint32Array | undefined
  /** x comes in the order that `inputOrder` gives. @default false */
  readonly ordered?: boolean
}

const formOf = ({ tensor }: Slice, { weights, group, activations }: LinearOptions): Form => {
  if (weights === "f32") return { encoding: "exact" }
  if (weights === "f16") return { encoding: "f16" }
  const fast = (layout: BlockLayout) => activations === "int8" || layout.bits === 4
  if (weights === "as-is") {
    const layout = tensor.matrix?.layouts.find(fast)
    const order = tensor.matrix?.order
    if (layout === undefined) return { encoding: "exact" }
    return { layout, encoding: "exact", ...(order === undefined ? {} : { order }) }
  }
  const bits = weights === "q4" ? 4 : 8
  const layout: BlockLayout = { bits, blockSize: group, hasZeroPoints: false, hasOffsets: false }
  return fast(layout) ? { layout, encoding: weights } : { encoding: weights }
}

const sameForm = (a: Form, b: Form): boolean =>
  a.encoding === b.encoding &&
  (a.layout === undefined || b.layout === undefined ? a.layout === b.layout : sameLayout(a.layout, b.layout)) &&
  sameOrder(a.order, b.order)

const sameOrder = (a: Uint32Array | undefined, b: Uint32Array | undefined): boolean =>
  a === undefined || b === undefined ? a === b : a.length === b.length && a.every((from, i) => from === b[i])

/** Whether layers that share an input can be one. */
export const canFuse = (parts: ReadonlyArray<LinearPart>, options: LinearOptions): boolean => {
  const [first, ...rest] = parts.map((part) => formOf(part.weight, options))
  return first !== undefined && rest.every((form) => sameForm(first, form))
}

/**
 * The order in which the kernel of a layer takes its input features; undefined: as they are. If the layer before can give
 * them so (an elementwise function between the two changes nothing), nothing is gathered at run time: the columns of
 * W1 are permuted once, as in Algorithm 3 of arXiv 2402.04925.
 */
export const inputOrder = (part: LinearPart, options: LinearOptions): Uint32Array | undefined => {
  const { order } = formOf(part.weight, options)
  // zeros may fill the blocks of a part of a matrix: no order of the features themselves
  return order?.length === part.weight.columns ? order : undefined
}

/**
 * The layer whose outputs are those of `parts[0]`, then of `parts[1]`, ...; they must be fusable. `name` is the stem of
 * the names of its initializers. Reads nothing yet.
 */
export const makeLinear = (
  name: string,
  parts: ReadonlyArray<LinearPart>,
  options: LinearOptions,
  { rounding = "plain", outputs, ordered = false }: LinearExtras = {}
): Linear => {
  const [first] = parts
  if (first === undefined) throw new RangeError(`Cannot make layer "${name}" of no parts`)
  const form: Form = { ...formOf(first.weight, options), ...(outputs === undefined ? {} : { rows: outputs }) }
  const { layout } = form
  const inFeatures = first.weight.columns
  const outFeatures = parts.reduce((sum, part) => sum + part.weight.rows, 0)
  const weights = parts.map((part) => part.weight)
  const wide = form.encoding === "exact" && weights.every(({ tensor }) => tensor.matrix?.wideActivations)
  const shape = { inFeatures, outFeatures }
  const bias = biasInitializer(name, parts, outFeatures, outputs)
  const kernel =
    layout === undefined
      ? makeDenseKernel(name, weights, form, options.group, shape, bias)
      : gathered(
          name,
          ordered ? undefined : form.order,
          makeBlockKernel(
            name,
            weights,
            { ...form, layout },
            // zeros may fill the blocks of a part of a matrix
            { outFeatures, inFeatures: form.order?.length ?? inFeatures },
            bias,
            options.activations,
            wide ? "double" : rounding
          )
        )
  return {
    ...shape,
    initializers: bias === undefined ? kernel.initializers : [...kernel.initializers, bias],
    matrices: weights.map((weight) => plannedMatrix(weight, formOf(weight, options), options, ordered)),
    leastRows: kernel.leastRows,
    fold: kernel.fold,
    apply: kernel.apply
  }
}

/**
 * A kernel whose weights have their input features in `order`: x is gathered before it, so that y = x[:, P] · W[:, P]ᵀ
 * (Algorithm 1 of arXiv 2402.04925). 5 to 10 µs for a row of 4096: `Gather` along the last axis takes ten times as long,
 * as it copies value by value through a call each.
 */
const gathered = (name: string, order: Uint32Array | undefined, kernel: Kernel): Kernel => {
  if (order === undefined) return kernel
  const features: Initializer = {
    name: `${name}.order`,
    type: "i32",
    shape: [order.length],
    bytes: order.length * 4,
    read: () => Int32Array.from(order)
  }
  return {
    ...kernel,
    initializers: [...kernel.initializers, features],
    apply: (operators, x) => kernel.apply(operators, gatherLast(operators, x, features.name, order.length))
  }
}

/** x (..., columns) -> (..., count): value i of each row is value indices[i] of its row in x. */
const gatherLast = ({ graph, ints, once }: Operators, x: Value, indices: Value, count: number): Value => {
  const shape = once(`gathered/${x}/${count}`, () => {
    const rows = graph.node("Shape", [x], { attributes: { end: { i: -1 } } })
    return graph.node("Concat", [rows, ints([count])], { attributes: { axis: { i: 0 } } })
  })
  const repeated = graph.node("Expand", [indices, shape])
  return graph.node("GatherElements", [x, repeated], { attributes: { axis: { i: -1 } } })
}

const plannedMatrix = (weight: Slice, form: Form, options: LinearOptions, ordered: boolean): PlannedMatrix => {
  const { name, type } = weight.tensor
  const { layout } = form
  const zeros = layout?.hasZeroPoints ? ", zero points" : ""
  const offsets = layout?.hasOffsets ? ", offsets" : ""
  const order = form.order === undefined ? "" : ordered ? ", inputs in its order" : ", inputs gathered"
  const kernel =
    layout === undefined ? "f32" : `${layout.bits}-bit codes in blocks of ${layout.blockSize}${zeros}${offsets}${order}`
  const note = noteOf(weight, form, options)
  return { tensor: name, type, kernel, ...(note === undefined ? {} : { note }) }
}

const noteOf = (
  { tensor }: Slice,
  { layout, encoding }: Form,
  { weights, group }: LinearOptions
): string | undefined => {
  if (encoding === "f16") return tensor.type === "f16" ? undefined : `${tensor.type} rounded to f16`
  if (encoding === "exact") return weights === "as-is" ? (layout ?? tensor.matrix)?.note : undefined
  return `${tensor.type} quantized to ${encoding} in groups of ${group}, symmetric: at most half a step per weight`
}

/** Zeros where a part has no bias. */
const biasInitializer = (
  name: string,
  parts: ReadonlyArray<LinearPart>,
  rows: number,
  outputs: Uint32Array | undefined
): Initializer | undefined => {
  if (parts.every((part) => part.bias === undefined)) return undefined
  return {
    name: `${name}.bias`,
    type: "f32",
    shape: [rows],
    bytes: rows * 4,
    read: () => {
      const out = new Float32Array(rows)
      let at = 0
      for (const part of parts) {
        const values = out.subarray(at, at + part.weight.rows)
        if (part.bias !== undefined) readFloats(part.bias, values)
        if (outputs !== undefined) reorderRows(values, outputs, 1)
        at += part.weight.rows
      }
      return out
    }
  }
}
