/**
 * Weight matrices that a checkpoint holds as codes: what kernels can be given of them, and their values.
 * @module
 */
import {
  type BlockLayout,
  type BlockLinear,
  blockBytes,
  blockType,
  dequantize,
  layoutOf,
  type QuantizedType,
  repack
} from "@swarm/quant"

/** A matrix (N, K). Every read is fresh, straight from disk, and throws `FormatError` or `WeightError`. */
export interface StoredMatrix {
  /** The layouts that it can become, the fastest first; none if it can only become floats. */
  readonly layouts: ReadonlyArray<BlockLayout>
  /**
   * The order in which `blocks` take the input features: position i takes feature order[i]. Absent: as they are.
   * Act-order weights have one, so that no kernel looks up groups. In a part of a matrix it may be longer than K: weights
   * of zero then fill blocks.
   */
  readonly order?: Uint32Array
  /**
   * The format keeps outliers of the activations out of int8 (LLM.int8, threshold 6): what rounding them to int8 per block
   * loses is then multiplied as a second row, which leaves an outlier and its neighbours more exact than the format asks.
   */
  readonly wideActivations?: true
  /** Why there are no layouts, where the format has some. */
  readonly note?: string
  /** Rows [from, to) in one of `layouts`, their columns in `order`. */
  readonly blocks: (layout: BlockLayout, from: number, to: number) => BlockLinear
  /** Rows [from, to) as f32 into `out` (to - from, K), columns as they are: the values that the format defines. */
  readonly floats: (from: number, to: number, out: Float32Array) => void
  /** The matrix of some outputs and inputs, in the order given, with blocks; undefined where there are none for it. */
  readonly part?: (outputs: Uint32Array, inputs: Uint32Array) => StoredMatrix | undefined
}

/** A matrix in GGUF blocks; `read` gives the bytes of rows. */
export const ggufMatrix = (
  type: QuantizedType,
  columns: number,
  read: (from: number, to: number) => Uint8Array
): StoredMatrix => {
  const layout = layoutOf(type)
  return {
    layouts: layout === undefined ? [] : [layout],
    blocks: (_, from, to) => repack(type, read(from, to), to - from, columns),
    floats: (from, to, out) => dequantize(type, read(from, to), out),
    part: (outputs, inputs) => {
      const [firstRow, firstColumn] = [outputs[0] ?? 0, inputs[0] ?? 0]
      const { blockSize } = blockType(type)
      const whole = firstColumn % blockSize === 0 && inputs.length % blockSize === 0
      if (!whole || !isRun(outputs) || !isRun(inputs)) return undefined
      const [row, start, width] = [columns, firstColumn, inputs.length].map((values) => blockBytes(type, values))
      return ggufMatrix(type, inputs.length, (from, to) => {
        if (width === row) return read(firstRow + from, firstRow + to)
        const out = new Uint8Array((to - from) * (width ?? 0))
        for (let at = 0; at < to - from; at++) {
          const bytes = read(firstRow + from + at, firstRow + from + at + 1)
          out.set(bytes.subarray(start, (start ?? 0) + (width ?? 0)), at * (width ?? 0))
        }
        return out
      })
    }
  }
}

/** Whether indices follow one another. */
export const isRun = (indices: Uint32Array): boolean => indices.every((index, i) => index === (indices[0] ?? 0) + i)
