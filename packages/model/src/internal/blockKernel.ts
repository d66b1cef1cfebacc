/**
 * Linear layers with weights in blocks of codes, for `MatMulNBits`.
 *
 * The kernel computes x · (scales * (codes - zero)). What the float minimum of a format adds to a weight is the same for
 * a whole block, so it contributes blocksum(x) · offsets, exactly; or the engine folds it into the weights, where it
 * meets the sum of the rounded x.
 * @module
 */
import type { Value } from "@swarm/onnx"
import { type BlockLayout, linearBytes } from "@swarm/quant"
import type { TensorArray } from "@swarm/tensor"
import type { Slice } from "../Checkpoint.ts"
import type { Form, Kernel, Linear, Rounding } from "../Linear.ts"
import type { Activations, Initializer, OffsetFold } from "../Plan.ts"
import { readBlocks } from "./encodeSlice.ts"
import { CONTRIB, type Operators } from "./operators.ts"
import { takeOnce } from "./takeOnce.ts"

/** Arrays that are made together. `correction`: f32 (blocks, N). */
type Arrays = Readonly<Record<"codes" | "scales" | "zeros" | "correction", TensorArray | undefined>>

export const makeBlockKernel = (
  name: string,
  weights: ReadonlyArray<Slice>,
  form: Form & { readonly layout: BlockLayout },
  { inFeatures, outFeatures }: Pick<Linear, "inFeatures" | "outFeatures">,
  bias: Initializer | undefined,
  activations: Activations,
  rounding: Rounding
): Kernel => {
  const { bits, blockSize, hasZeroPoints, hasOffsets } = form.layout
  const blocks = Math.ceil(inFeatures / blockSize)
  const rounded = activations === "int8" && inFeatures % blockSize === 0
  const doubled = rounded && rounding === "double"
  const bytes = linearBytes(form.layout, outFeatures, inFeatures)
  const take = takeOnce((): Arrays => {
    const linear = readBlocks(weights, form)
    return { codes: linear.packed, scales: linear.scales, zeros: linear.zeroPoints, correction: linear.offsets }
  })
  const array = (part: keyof Arrays, type: "u8" | "f32", shape: ReadonlyArray<number>, size: number): Initializer => ({
    name: `${name}.${part}`,
    type,
    shape,
    bytes: size,
    read: () => take(part)
  })
  const codes = array("codes", "u8", [outFeatures, blocks, (blockSize * bits) / 8], bytes.packed)
  const scales = array("scales", "f32", [outFeatures, blocks], bytes.scales)
  const zeros = array("zeros", "u8", [outFeatures, Math.ceil((blocks * bits) / 8)], bytes.zeroPoints)
  const correction = array("correction", "f32", [blocks, outFeatures], bytes.offsets)
  const fold: OffsetFold | undefined =
    activations === "int8" && hasOffsets && !hasZeroPoints
      ? {
          weights: codes.name,
          replaces: correction.name,
          zero: 2 ** (bits - 1),
          rows: outFeatures,
          blocks,
          scales: () => readBlocks(weights, form).scales,
          offsets: () => readBlocks(weights, form).offsets ?? new Float32Array(blocks * outFeatures)
        }
      : undefined

  const kernel = ({ graph }: Operators, x: Value, addend: Initializer | undefined): Value => {
    const inputs = [x, codes.name, scales.name, hasZeroPoints ? zeros.name : "", "", addend?.name ?? ""]
    while (inputs.at(-1) === "") inputs.pop()
    return graph.node("MatMulNBits", inputs, {
      domain: CONTRIB,
      attributes: {
        K: { i: inFeatures },
        N: { i: outFeatures },
        bits: { i: bits },
        block_size: { i: blockSize },
        accuracy_level: { i: activations === "int8" ? 4 : 0 }
      }
    })
  }
  const corrected = ({ graph }: Operators, product: Value, sums: Value): Value =>
    graph.node("Add", [product, graph.node("MatMul", [sums, correction.name])])

  return {
    initializers: [codes, scales, ...(hasZeroPoints ? [zeros] : []), ...(hasOffsets ? [correction] : [])],
    leastRows: doubled ? 1 : 2,
    fold,
    apply: (operators, x) => {
      const product = doubled
        ? doubleRounded(operators, x, inFeatures, outFeatures, blockSize, bias, (rows) =>
            kernel(operators, rows, undefined)
          )
        : kernel(operators, x, bias)
      return hasOffsets && !(operators.folded && fold !== undefined)
        ? corrected(operators, product, operators.blockSums(x, inFeatures, blockSize))
        : product
    }
  }
}

const doubleRounded = (
  operators: Operators,
  x: Value,
  inFeatures: number,
  outFeatures: number,
  blockSize: number,
  bias: Initializer | undefined,
  kernel: (rows: Value) => Value
): Value => {
  const sum = operators.addHalves(kernel(operators.splitRounding(x, inFeatures, blockSize)), outFeatures)
  return bias === undefined ? sum : operators.graph.node("Add", [sum, bias.name])
}
