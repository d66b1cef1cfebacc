/**
 * Linear layers with weights in blocks of codes, for `MatMulNBits`.
 *
 * The kernel computes x · (scales * (codes - zero)). What the float minimum of a format adds to a weight is the same for
 * a whole block, so it contributes blocksum(x) · offsets, exactly; likewise a constant c taken out of a block of x
 * contributes c · (the block's sum of kernel weights).
 * @module
 */
import type { Value } from "@swarm/onnx"
import { type BlockLayout, type BlockLinear, linearBytes } from "@swarm/quant"
import type { TensorArray } from "@swarm/tensor"
import type { Slice } from "../Checkpoint.ts"
import type { Form, Kernel, Linear, Rounding } from "../Linear.ts"
import type { Activations, Initializer } from "../Plan.ts"
import { readBlocks } from "./encodeSlice.ts"
import { CONTRIB, type Operators } from "./operators.ts"
import { takeOnce } from "./takeOnce.ts"

/** Arrays that are made together. `correction`: f32 (blocks, N), or (blocks, 2, N) if centred. */
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
  const centred = rounded && rounding === "centred" && hasOffsets && bits === 4 && !hasZeroPoints
  const doubled = rounded && rounding === "double"
  const bytes = linearBytes(form.layout, outFeatures, inFeatures)
  const take = takeOnce((): Arrays => {
    const linear = readBlocks(weights, form)
    const correction = centred ? centredCorrection(linear) : linear.offsets
    return { codes: linear.packed, scales: linear.scales, zeros: linear.zeroPoints, correction }
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
  const terms = centred ? 2 : 1
  const correction = array("correction", "f32", [terms * blocks, outFeatures], terms * bytes.offsets)

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
    apply: (operators, x) => {
      if (centred) {
        const { shifted, sums } = operators.centreBlocks(x, inFeatures, blockSize)
        return corrected(operators, kernel(operators, shifted, bias), sums)
      }
      const product = doubled
        ? doubleRounded(operators, x, inFeatures, blockSize, bias, (rows) => kernel(operators, rows, undefined))
        : kernel(operators, x, bias)
      return hasOffsets ? corrected(operators, product, operators.blockSums(x, inFeatures, blockSize)) : product
    }
  }
}

const doubleRounded = (
  operators: Operators,
  x: Value,
  inFeatures: number,
  blockSize: number,
  bias: Initializer | undefined,
  kernel: (rows: Value) => Value
): Value => {
  const [whole = "", rest = ""] = operators.halveRows(kernel(operators.splitRounding(x, inFeatures, blockSize)))
  const sum = operators.graph.node("Add", [whole, rest])
  return bias === undefined ? sum : operators.graph.node("Add", [sum, bias.name])
}

/** Row 2b: what a unit of the sum of block b of x adds; row 2b + 1: what a unit of its centre adds. 4-bit codes. */
const centredCorrection = ({
  packed,
  scales,
  offsets,
  inFeatures,
  outFeatures,
  blockSize
}: BlockLinear): Float32Array => {
  const blocks = inFeatures / blockSize
  const out = new Float32Array(2 * blocks * outFeatures)
  const blockBytes = blockSize / 2
  for (let n = 0; n < outFeatures; n++) {
    for (let b = 0; b < blocks; b++) {
      const first = (n * blocks + b) * blockBytes
      let sum = -8 * blockSize
      for (let i = first; i < first + blockBytes; i++) sum += (packed[i]! & 15) + (packed[i]! >> 4)
      out[2 * b * outFeatures + n] = offsets?.[b * outFeatures + n] ?? 0
      out[(2 * b + 1) * outFeatures + n] = scales[n * blocks + b]! * sum
    }
  }
  return out
}
