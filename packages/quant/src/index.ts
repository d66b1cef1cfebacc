/**
 * Weight formats, repacking for kernels, wire codecs.
 * @module
 */
export type { BlockLayout, BlockLinear, BlockLinearBytes } from "./BlockLinear.ts"
export { expand, layoutOfLinear, linearBytes, sameLayout } from "./BlockLinear.ts"
export type { BlockType, BlockTypeInfo, QuantizedType } from "./blockTypes.ts"
export { blockBytes, blockType, blockTypeName, blockTypes } from "./blockTypes.ts"
export { concatRows } from "./concatRows.ts"
export { dequantize } from "./dequantize.ts"
export type { QuantizeOptions } from "./quantize.ts"
export { quantizationError, quantize } from "./quantize.ts"
export { layoutOf, repack } from "./repack.ts"
export type { WeightErrorFields } from "./WeightError.ts"
export { WeightError } from "./WeightError.ts"
export type { Codec, WireCodec } from "./wire.ts"
export { codec, wireCodecs } from "./wire.ts"
export type { EncodedRows } from "./wireRows.ts"
export { decodeRows, encodeRows, rowBytes } from "./wireRows.ts"
