/**
 * Dynamic 8-bit quantization: 256 values, spaced finer towards zero, times the greatest magnitude of a block.
 *
 * Decades of 10^-6 to 1 have 1, 2, 4, … 64 values of each sign, the middles of equal parts; 0 and 1 complete them. So the
 * relative error stays under a few per cent over two decades, where equal steps would round small values to zero.
 * @see {@link https://arxiv.org/abs/1511.04561} 8-Bit Approximations for Parallelism in Deep Learning, section 3
 * @see {@link https://arxiv.org/abs/2110.02861} 8-bit Optimizers via Block-wise Quantization, section 2.1
 * @module
 */
import { WeightError } from "./WeightError.ts"

const DECADES = 7

/** Borders of equal parts of [0.1, 1], the upper half counted from above, in the rounding of PyTorch's `linspace`. */
const border = (i: number, parts: number): number => {
  const least = Math.fround(0.1)
  const step = Math.fround(Math.fround(1 - least) / parts)
  return i < (parts + 1) >> 1 ? Math.fround(least + step * i) : Math.fround(1 - step * (parts - i))
}

const makeMap = (): Float32Array => {
  const values = [0, 1]
  for (let decade = 0; decade < DECADES; decade++) {
    const parts = 2 ** decade
    const power = Math.fround(10 ** (decade - DECADES + 1))
    for (let i = 0; i < parts; i++) {
      const middle = Math.fround(border(i, parts) + border(i + 1, parts)) / 2
      values.push(power * middle, -power * middle)
    }
  }
  return Float32Array.from(values).sort()
}

/** f32 (256): the value of each code, ascending from -0.99297 to 1; code 127 is 0. */
export const dynamicMap: Float32Array = makeMap()

/** f64 (256): the greatest value whose nearest code is this one. */
const BORDERS: Float64Array = Float64Array.from(dynamicMap, (value, code) =>
  code === 255 ? Number.POSITIVE_INFINITY : (value + dynamicMap[code + 1]!) / 2
)

/** Places of the grid on [-1, 1] that values are rounded to before their code is looked up. */
const GRID = 65536

/** u8 (GRID): the nearest code of each place of the grid. */
const PLACES: Uint8Array = (() => {
  const table = new Uint8Array(GRID)
  let code = 0
  for (let i = 0; i < GRID; i++) {
    while ((2 * i) / (GRID - 1) - 1 > BORDERS[code]!) code++
    table[i] = code
  }
  return table
})()

/** The code of the nearest place of the grid, for an f32 value in [-1, 1], in f32 throughout. */
const placeCode = (value: number): number => {
  const unit = Math.fround(Math.fround(value + 1) * Math.fround(0.5))
  return PLACES[(Math.fround(Math.fround(unit * 65535) + Math.fround(0.5)) | 0) & 0xffff]!
}

/** The nearest code of a value in [-1, 1], of two the lower. The grid is too coarse only next to a border. */
export const nearestDynamic = (value: number): number => {
  let code = PLACES[((value + 1) * ((GRID - 1) / 2) + 0.5) & 0xffff]!
  while (value > BORDERS[code]!) code++
  while (code > 0 && value <= BORDERS[code - 1]!) code--
  return code
}

/** The least and greatest block of {@link quantizeDynamic}. */
const dynamicBlocks = { least: 64, greatest: 4096 } as const

/** Throws `RangeError` for a block that is not a power of two from 64 to 4096. */
export const checkDynamicBlock = (block: number): void => {
  const { least, greatest } = dynamicBlocks
  if (!(block >= least && block <= greatest && Number.isInteger(Math.log2(block)))) {
    throw new RangeError(`Cannot quantize in blocks of ${block}: a power of two from ${least} to ${greatest}`)
  }
}

/** Values in blocks: value i = dynamicMap[codes[i]] * scales[floor(i / block)]. */
export interface DynamicBlocks {
  readonly block: number
  /** u8 (values) */
  readonly codes: Uint8Array
  /** f32 (ceil(values / block)): the greatest magnitude of each block. */
  readonly scales: Float32Array
}

/**
 * x: f32 (values) to 8-bit codes with fresh arrays, equal to the bit to those of the CPU kernels of bitsandbytes, which
 * round a value to one of 65,536 equal places of its block's range before the nearest code is taken; `x` is borrowed.
 *
 * A value v of a block with the greatest magnitude m comes back within 0.0071 m, within 0.0015 m if abs(v) < 0.1 m, within
 * 0.0003 m if abs(v) < 0.01 m. (The least code is -0.993, so -m is off by 0.0071 m. Zero comes back as 2.1e-5 m.)
 *
 * Throws `RangeError` for a block that is not a power of two from 64 to 4096, `WeightError` for NaN and infinities.
 */
export const quantizeDynamic = (x: Float32Array, block: number): DynamicBlocks => {
  checkDynamicBlock(block)
  const codes = new Uint8Array(x.length)
  const scales = new Float32Array(Math.ceil(x.length / block))
  for (let b = 0; b < scales.length; b++) {
    const from = b * block
    const end = Math.min(from + block, x.length)
    let greatest = 0
    for (let i = from; i < end; i++) {
      const magnitude = Math.abs(x[i]!)
      if (!(magnitude < Number.POSITIVE_INFINITY)) {
        throw new WeightError({ row: 0, column: i, detail: `a value is ${x[i]}` })
      }
      if (magnitude > greatest) greatest = magnitude
    }
    scales[b] = greatest
    if (greatest > 0) for (let i = from; i < end; i++) codes[i] = placeCode(Math.fround(x[i]! / greatest))
  }
  return { block, codes, scales }
}

/** The values of blocks: f32 (values) into `out`, each product rounded once to f32. Throws `RangeError` for lengths that differ. */
export const dequantizeDynamic = (
  { block, codes, scales }: DynamicBlocks,
  out = new Float32Array(codes.length)
): Float32Array => {
  checkDynamicBlock(block)
  if (out.length !== codes.length || scales.length !== Math.ceil(codes.length / block)) {
    throw new RangeError(`Cannot decode ${codes.length} codes with ${scales.length} scales into ${out.length} values`)
  }
  for (let b = 0; b < scales.length; b++) {
    const scale = scales[b]!
    const end = Math.min((b + 1) * block, codes.length)
    for (let i = b * block; i < end; i++) out[i] = dynamicMap[codes[i]!]! * scale
  }
  return out
}
