/**
 * Codes that stand for entries of a table of floats: the 4-bit types of bitsandbytes and its dynamic 8-bit type.
 * @see https://arxiv.org/abs/2305.14314 (NF4, double quantization)
 * @see https://arxiv.org/abs/2110.02861 (dynamic blockwise quantization)
 * @module
 */
import type { BlockLayout, BlockLinear } from "./BlockLinear.ts"
import { WeightError } from "./WeightError.ts"

/** Values that share a greatest magnitude, in the order of rows: value[i] = table[code[i]] * absmax[i / blockSize]. */
export interface CodebookBlocks {
  /** Two a byte, the earlier in the HIGH half (16 entries); or one a byte (256 entries). */
  readonly codes: Uint8Array
  /** f32 (16) or (256), ascending or not. */
  readonly table: Float32Array
  /** f32, one a block; the last block may be short. */
  readonly absmax: Float32Array
  readonly blockSize: number
}

/**
 * Values [from, from + out.length) as f32 into `out`: each product rounded once, equal to the bit to bitsandbytes.
 *
 * Throws `RangeError` if they are beyond the codes or the blocks. O(values).
 * @returns `out`
 */
export const expandCodebook = (blocks: CodebookBlocks, from: number, out: Float32Array): Float32Array => {
  const { codes, table, absmax, blockSize } = blocks
  const perByte = table.length === 16 ? 2 : 1
  const end = from + out.length
  if (from < 0 || end > codes.length * perByte || end > absmax.length * blockSize) {
    throw new RangeError(`Cannot expand values ${from} to ${end}: there are ${codes.length * perByte}`)
  }
  for (let i = from; i < end; i++) {
    const code = perByte === 1 ? codes[i]! : i % 2 === 0 ? codes[i >> 1]! >> 4 : codes[i >> 1]! & 15
    out[i - from] = table[code]! * absmax[Math.floor(i / blockSize)]!
  }
  return out
}

/**
 * Greatest magnitudes that are themselves quantized (double quantization): code2[codes] * absmax2 + offset, each step
 * rounded to f32 as bitsandbytes does.
 *
 * Throws `RangeError` if `inner` has too few blocks.
 */
export const expandNested = (inner: CodebookBlocks, offset: number): Float32Array => {
  const out = expandCodebook(inner, 0, new Float32Array(inner.codes.length))
  for (let i = 0; i < out.length; i++) out[i] = out[i]! + offset
  return out
}

/** A table of 16 values in [-1, 1] as 8-bit integers: value ≈ (code - 128) * step. */
export interface IntegerTable {
  /** u8 (16) */
  readonly codes: Uint8Array
  readonly step: number
  /** Greatest difference of a value from its entry. */
  readonly error: number
}

/** Steps tried per unit of 1 / step. */
const FINENESS = 64

/** The integers that come nearest to the entries of a table, in the greatest difference. */
export const integerTable = (table: Float32Array): IntegerTable => {
  let best = { step: 1 / 127, error: Number.POSITIVE_INFINITY }
  // the greatest entry takes a code of 64 to 127
  for (let i = 64 * FINENESS; i <= 127 * FINENESS; i++) {
    const step = FINENESS / i
    let error = 0
    for (const value of table) error = Math.max(error, Math.abs(value - Math.round(value / step) * step))
    if (error < best.error) best = { step, error }
  }
  return { ...best, codes: Uint8Array.from(table, (value) => 128 + Math.round(value / best.step)) }
}

/**
 * The layout of rows of K values in blocks of `blockSize` with a table of 16 entries; undefined if a block crosses rows or
 * is not one of the kernel's.
 */
export const codebookLayout = (
  name: string,
  blocks: Pick<CodebookBlocks, "table" | "blockSize">,
  inFeatures: number
): BlockLayout | undefined => {
  const { blockSize, table } = blocks
  const size = [128, 64, 32, 16].find((kernel) => blockSize % kernel === 0)
  if (table.length !== 16 || size === undefined || inFeatures % blockSize !== 0) return undefined
  const lost = (100 * integerTable(table).error).toPrecision(2)
  const note = `${name} codes as 8-bit integers: at most ${lost} % of the greatest weight of a block of ${blockSize}`
  return { bits: 8, blockSize: size, hasZeroPoints: false, hasOffsets: false, note }
}

/**
 * Rows [from, to) of K values as 8-bit integers of `layout`, of {@link codebookLayout}: the error that it notes and no more.
 *
 * Fresh arrays. Throws `WeightError` for a greatest magnitude that is NaN or infinite. O(K (to - from)), 2 ns a weight.
 */
export const codebookLinear = (
  blocks: CodebookBlocks,
  inFeatures: number,
  from: number,
  to: number,
  { blockSize }: BlockLayout
): BlockLinear => {
  const { codes, absmax, table } = blocks
  const { codes: integers, step } = integerTable(table)
  const outFeatures = to - from
  const first = from * inFeatures
  const packed = new Uint8Array(outFeatures * inFeatures)
  for (let i = 0; i < packed.length; i += 2) {
    const byte = codes[(first + i) >> 1]!
    packed[i] = integers[byte >> 4]!
    packed[i + 1] = integers[byte & 15]!
  }
  const perRow = inFeatures / blockSize
  const scales = new Float32Array(outFeatures * perRow)
  for (let i = 0; i < scales.length; i++) {
    const greatest = absmax[Math.floor((first + i * blockSize) / blocks.blockSize)]!
    if (!Number.isFinite(greatest)) {
      const [row, column] = [from + Math.floor(i / perRow), (i % perRow) * blockSize]
      throw new WeightError({ row, column, detail: `the greatest weight of a block is ${greatest}` })
    }
    scales[i] = greatest * step
  }
  return { bits: 8, blockSize, inFeatures, outFeatures, packed, scales }
}
