/**
 * Linear layers with f32 weights, for `FusedMatMul`.
 * @module
 */
import { expand } from "@swarm/quant"
import { decodeFloats, encodeFloats } from "@swarm/tensor"
import { readFloats, type Slice } from "../Checkpoint.ts"
import type { Form, Kernel, Linear } from "../Linear.ts"
import type { Initializer } from "../Plan.ts"
import { encodeSlice } from "./encodeSlice.ts"
import { CONTRIB } from "./operators.ts"

/** The weights stay (outFeatures, inFeatures), as checkpoints have them: the kernel transposes once, when it packs. */
export const makeDenseKernel = (
  name: string,
  weights: ReadonlyArray<Slice>,
  form: Form,
  group: number,
  { inFeatures, outFeatures }: Pick<Linear, "inFeatures" | "outFeatures">,
  bias: Initializer | undefined
): Kernel => {
  const weight: Initializer = {
    name: `${name}.weight`,
    type: "f32",
    shape: [outFeatures, inFeatures],
    bytes: outFeatures * inFeatures * 4,
    read: () => {
      const out = new Float32Array(outFeatures * inFeatures)
      let at = 0
      for (const part of weights) {
        const length = part.rows * part.columns
        readValues(part, form, group, out.subarray(at, at + length))
        at += length
      }
      return out
    }
  }
  return {
    initializers: [weight],
    leastRows: 2,
    fold: undefined,
    apply: ({ graph }, x) => {
      const product = graph.node("FusedMatMul", [x, weight.name], { domain: CONTRIB, attributes: { transB: { i: 1 } } })
      return bias === undefined ? product : graph.node("Add", [product, bias.name])
    }
  }
}

const readValues = (weight: Slice, { encoding, rows }: Form, group: number, out: Float32Array<ArrayBuffer>): void => {
  if (encoding === "q4" || encoding === "q8") expand(encodeSlice(weight, encoding, group), out)
  else readFloats(weight, out)
  if (encoding === "f16") decodeFloats("f16", encodeFloats("f16", out), out)
  if (rows !== undefined) reorderRows(out, rows, weight.columns)
}

/** values (rows.length, columns): row i becomes row rows[i], in place. Rows of one value are the elements of a vector. */
export const reorderRows = (values: Float32Array, rows: Uint32Array, columns: number): void => {
  const source = values.slice()
  rows.forEach((row, i) => {
    values.set(source.subarray(row * columns, (row + 1) * columns), i * columns)
  })
}
