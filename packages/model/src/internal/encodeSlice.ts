/**
 * Weights of a checkpoint as blocks of codes.
 * @module
 */
import { type BlockLayout, type BlockLinear, concatRows, quantize, takeRows, WeightError } from "@swarm/quant"
import { FormatError } from "@swarm/tensor"
import { readFloats, type Slice } from "../Checkpoint.ts"
import type { Form } from "../Linear.ts"

/** The values of a slice, rounded to 4 or 8 bits. */
export const encodeSlice = (weight: Slice, format: "q4" | "q8", blockSize: number): BlockLinear =>
  named(weight, () =>
    quantize(readFloats(weight), weight.rows, weight.columns, { bits: format === "q4" ? 4 : 8, blockSize })
  )

/** The blocks of slices of equal form, joined along their rows. */
export const readBlocks = (
  weights: ReadonlyArray<Slice>,
  { encoding, layout, rows }: Form & { readonly layout: BlockLayout }
): BlockLinear => {
  const inOrder = (linear: BlockLinear) => (rows === undefined ? linear : takeRows(linear, rows))
  const joined = concatRows(
    weights.map((weight) => {
      if (encoding === "q4" || encoding === "q8") return inOrder(encodeSlice(weight, encoding, layout.blockSize))
      const { matrix, name } = weight.tensor
      if (matrix === undefined) throw new RangeError(`Tensor "${name}" has no blocks`)
      return inOrder(named(weight, () => matrix.blocks(layout, weight.firstRow, weight.firstRow + weight.rows)))
    })
  )
  if (joined === undefined) throw new RangeError("Cannot join layers of different forms")
  return joined
}

/** Names the tensor in the error of weights that no format can hold. */
const named = (weight: Slice, make: () => BlockLinear): BlockLinear => {
  try {
    return make()
  } catch (cause) {
    if (!(cause instanceof WeightError)) throw cause
    const { checkpoint, tensor } = weight
    throw new FormatError({ file: tensor.file ?? checkpoint.path, tensor: tensor.name, detail: cause.message, cause })
  }
}
