/**
 * A linear layer as GPTQ and AWQ checkpoints hold it: integer codes, and a scale and a zero point per group of inputs.
 * @module
 */
import type { BlockLayout, BlockLinear } from "./BlockLinear.ts"
import { forColumns } from "./internal/columns.ts"
import { packStream, unpackStream } from "./internal/streams.ts"
import { WeightError } from "./WeightError.ts"

/**
 * The layer y = x W with W (K, N), where W[k,n] = scales[g,n] * (q[k,n] - zero[g,n]) and g = groupIndex[k].
 *
 * Arrays are borrowed: views into a checkpoint do.
 */
export interface GroupedCodes {
  readonly bits: 2 | 3 | 4 | 8
  /** K, a multiple of 32 for 3 bits, else of 32 / bits. */
  readonly inFeatures: number
  /** N */
  readonly outFeatures: number
  /** Rows that share a scale, 1 .. K; the last group may be short. K itself: one scale a column. */
  readonly groupSize: number
  /** u32 (K * bits / 32, N): each column is a stream of K codes, low bits first; a code of 3 bits may cross two words. */
  readonly codes: Uint32Array
  /** f32 (ceil(K / groupSize), N) */
  readonly scales: Float32Array
  /** u8 (ceil(K / groupSize), N), one a byte; absent = 2^(bits-1) everywhere (symmetric). */
  readonly zeros?: Uint8Array
  /** (K): the group of each row, in any order (act-order); absent = floor(k / groupSize). */
  readonly groupIndex?: ArrayLike<number>
}

/** In the place of an input feature: a weight of zero. Not the first of a block. */
export const PADDING = 0xffff_ffff

/** Which part of a layer becomes blocks, and which. */
export interface GroupedPart {
  /** Input features in order, each block of them in one group, or `PADDING`. @default all, as they are */
  readonly rows?: Uint32Array
  /** Output features in order. @default all, as they are */
  readonly columns?: Uint32Array
  /** The kernel's width: that of the codes or more; 3-bit codes take 4. */
  readonly bits: 2 | 4 | 8
  /** 16, 32, 64, 128 or 256. */
  readonly blockSize: number
}

/** The group of a row. */
export const groupOf = (
  { groupIndex, groupSize }: Pick<GroupedCodes, "groupIndex" | "groupSize">,
  row: number
): number => groupIndex?.[row] ?? Math.floor(row / groupSize)

/** Whether every block of `size` of these rows lies in one group. O(rows). */
export const blocksFit = (linear: GroupedCodes, rows: Uint32Array, size: number): boolean => {
  for (let i = 0; i < rows.length; i++) {
    if (i % size === 0 || rows[i] === PADDING) continue
    if (groupOf(linear, rows[i]!) !== groupOf(linear, rows[i - 1]!)) return false
  }
  return true
}

/**
 * The layouts that hold such layers exactly, the fastest first: none if no block of the kernel fits into a group.
 *
 * A group larger than 128 is cut into blocks that repeat its scale. Codes of 2 bits have a fast kernel for blocks of 32
 * and more, and one for f32 activations only if they are widened to 4 bits.
 */
export const groupedLayouts = (
  bits: GroupedCodes["bits"],
  groupSize: number,
  inFeatures: number,
  hasZeroPoints: boolean
): ReadonlyArray<BlockLayout> => {
  // a single group has no edge for blocks to respect
  const blockSize = groupSize >= inFeatures ? 128 : [128, 64, 32, 16].find((size) => groupSize % size === 0)
  if (blockSize === undefined) return []
  const layout = (width: 2 | 4 | 8): BlockLayout => {
    const exact = { bits: width, blockSize, hasZeroPoints, hasOffsets: false }
    return width === bits ? exact : { ...exact, note: `${bits}-bit codes in ${width} bits: exact` }
  }
  if (bits === 8) return [layout(8)]
  return bits === 2 && blockSize >= 32 ? [layout(2), layout(4)] : [layout(4)]
}

/**
 * W[rows, columns] as the kernel's W (N, K): nothing is rounded, each block takes the scale and zero point of its group.
 *
 * Fresh arrays of the size of the part; the layer is read in place. Throws `RangeError` for a row or column out of range,
 * a block that mixes groups, or too few bits; `WeightError` for a scale that is NaN or infinite. O(rows x columns), 1 ns
 * a weight where rows are as they are and codes keep their width, else 3 ns.
 */
export const groupedBlocks = (linear: GroupedCodes, { rows, columns, bits, blockSize }: GroupedPart): BlockLinear => {
  const { inFeatures, outFeatures } = linear
  if (bits < linear.bits) throw new RangeError(`Cannot hold codes of ${linear.bits} bits in ${bits}`)
  if (
    rows?.some((row, i) => row >= inFeatures && (row !== PADDING || i % blockSize === 0)) ||
    columns?.some((column) => column >= outFeatures)
  ) {
    throw new RangeError(`Cannot take part of a layer (${inFeatures}, ${outFeatures}): a row or column is beyond it`)
  }
  const allRows = rows ?? Uint32Array.from({ length: inFeatures }, (_, k) => k)
  if (!blocksFit(linear, allRows, blockSize)) {
    throw new RangeError(`Cannot cut groups of ${linear.groupSize} rows into blocks of ${blockSize}`)
  }
  const allColumns = columns ?? Uint32Array.from({ length: outFeatures }, (_, n) => n)
  const [K, N] = [allRows.length, allColumns.length]
  const blocks = Math.ceil(K / blockSize)
  const zeroBytes = Math.ceil((blocks * bits) / 8)
  const part = {
    words: new Uint32Array((N * blocks * blockSize * bits) / 32),
    scales: new Float32Array(N * blocks),
    zeros: new Uint8Array(N * blocks)
  }
  groupValues(linear, allRows, allColumns, bits, blockSize, part)
  const perWord = 32 / bits
  const rowWords = (blocks * blockSize) / perWord
  const whole = bits === linear.bits && K % blockSize === 0 && allRows[0]! % perWord === 0 && consecutive(allRows)
  if (whole) {
    // words keep their codes where rows are as they are
    const first = allRows[0]! / perWord
    forColumns(linear.codes, outFeatures, allColumns, (column, n) => {
      part.words.set(column.subarray(first, first + rowWords), n * rowWords)
    })
  } else gatherCodes(linear, allRows, allColumns, bits, blockSize, part)
  const zeroPoints = linear.zeros === undefined ? undefined : new Uint8Array(N * zeroBytes)
  if (zeroPoints !== undefined) {
    for (let n = 0; n < N; n++) {
      for (let b = 0; b < blocks; b++) {
        zeroPoints[n * zeroBytes + ((b * bits) >> 3)]! |= part.zeros[n * blocks + b]! << ((b * bits) & 7)
      }
    }
  }
  return {
    bits,
    blockSize,
    inFeatures: K,
    outFeatures: N,
    packed: new Uint8Array(part.words.buffer),
    scales: part.scales,
    ...(zeroPoints === undefined ? {} : { zeroPoints })
  }
}

const consecutive = (rows: Uint32Array): boolean => rows.every((row, i) => row === rows[0]! + i)

/** Arrays of a part under construction; `zeros`: (N, blocks), one a byte. */
interface Part {
  readonly words: Uint32Array
  readonly scales: Float32Array
  readonly zeros: Uint8Array
}

/** What is added to a code so that the kernel's default zero point is the symmetric one of the codes. */
const shiftOf = (linear: GroupedCodes, bits: number): number =>
  linear.zeros === undefined ? 2 ** (bits - 1) - 2 ** (linear.bits - 1) : 0

const groupValues = (
  linear: GroupedCodes,
  rows: Uint32Array,
  columns: Uint32Array,
  bits: number,
  blockSize: number,
  part: Part
): void => {
  const blocks = Math.ceil(rows.length / blockSize)
  for (let b = 0; b < blocks; b++) {
    const row = rows[b * blockSize]!
    const group = groupOf(linear, row) * linear.outFeatures
    for (let n = 0; n < columns.length; n++) {
      const at = group + columns[n]!
      const scale = linear.scales[at]!
      if (!Number.isFinite(scale)) {
        throw new WeightError({ row: columns[n]!, column: row, detail: `the scale of a group is ${scale}` })
      }
      part.scales[n * blocks + b] = scale
      part.zeros[n * blocks + b] = linear.zeros === undefined ? 2 ** (bits - 1) : linear.zeros[at]!
    }
  }
}

const gatherCodes = (
  linear: GroupedCodes,
  rows: Uint32Array,
  columns: Uint32Array,
  bits: number,
  blockSize: number,
  { words, zeros }: Part
): void => {
  const blocks = Math.ceil(rows.length / blockSize)
  const rowWords = (blocks * blockSize * bits) / 32
  const shift = shiftOf(linear, bits)
  const { inFeatures } = linear
  // behind the codes of a column: for each block the code that is a weight of zero
  const places = rows.map((row, i) => (row === PADDING ? inFeatures + Math.floor(i / blockSize) : row))
  const codes = new Uint8Array(inFeatures + blocks)
  const own = codes.subarray(0, inFeatures)
  forColumns(linear.codes, linear.outFeatures, columns, (column, n) => {
    unpackStream(column, linear.bits, own)
    for (let b = 0; b < blocks; b++) codes[inFeatures + b] = zeros[n * blocks + b]! - shift
    const rest = zeros[(n + 1) * blocks - 1]!
    packStream(codes, places, shift, rest, bits, words, n * rowWords, (n + 1) * rowWords)
  })
}
