/**
 * Element types of tensors and the typed array that holds each.
 * @module
 */

/** An element type. `f16` and `bf16` are held as raw 16-bit patterns in a `Uint16Array`; fp8 as bytes. */
export type ElementType =
  | "f32"
  | "f64"
  | "f16"
  | "bf16"
  | "f8e4m3"
  | "f8e5m2"
  | "i8"
  | "u8"
  | "i16"
  | "u16"
  | "i32"
  | "u32"
  | "i64"
  | "u64"
  | "bool"

/** A typed array that holds the elements of a tensor. */
export type TensorArray =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array

/** The typed array that holds elements of type `T`. */
export interface ArrayByType {
  readonly f32: Float32Array
  readonly f64: Float64Array
  readonly f16: Uint16Array
  readonly bf16: Uint16Array
  readonly f8e4m3: Uint8Array
  readonly f8e5m2: Uint8Array
  readonly i8: Int8Array
  readonly u8: Uint8Array
  readonly i16: Int16Array
  readonly u16: Uint16Array
  readonly i32: Int32Array
  readonly u32: Uint32Array
  readonly i64: BigInt64Array
  readonly u64: BigUint64Array
  readonly bool: Uint8Array
}

interface ArrayConstructor<A> {
  readonly BYTES_PER_ELEMENT: number
  new (length: number): A
  new (buffer: ArrayBufferLike, byteOffset?: number, length?: number): A
}

const constructors: { readonly [T in ElementType]: ArrayConstructor<ArrayByType[T]> } = {
  f32: Float32Array,
  f64: Float64Array,
  f16: Uint16Array,
  bf16: Uint16Array,
  f8e4m3: Uint8Array,
  f8e5m2: Uint8Array,
  i8: Int8Array,
  u8: Uint8Array,
  i16: Int16Array,
  u16: Uint16Array,
  i32: Int32Array,
  u32: Uint32Array,
  i64: BigInt64Array,
  u64: BigUint64Array,
  bool: Uint8Array
}

/** Every element type. */
export const elementTypes: ReadonlyArray<ElementType> = Object.keys(constructors) as Array<ElementType>

/** Bytes of one element: 1, 2, 4 or 8. */
export const elementBytes = (type: ElementType): number => constructors[type].BYTES_PER_ELEMENT

/**
 * The number of elements of a tensor of `shape`; 1 for a scalar (`[]`).
 *
 * Throws `RangeError` for an extent that is negative or not an integer, and for a count over 2^53 - 1.
 */
export const countElements = (shape: ReadonlyArray<number>): number => {
  let count = 1
  for (const extent of shape) {
    if (!Number.isSafeInteger(extent) || extent < 0) {
      throw new RangeError(`Cannot count the elements of shape [${shape}]: ${extent} is not an extent`)
    }
    count *= extent
  }
  // a zero extent must not hide an overflow: [2^60, 0] has no elements, but no reader should accept it
  let nonZero = 1
  for (const extent of shape) nonZero *= extent === 0 ? 1 : extent
  if (!Number.isSafeInteger(nonZero)) {
    throw new RangeError(`Cannot count the elements of shape [${shape}]: more than 2^53 - 1`)
  }
  return count
}

/** Allocates a zeroed array for `length` elements of `type`. */
export const makeArray = <T extends ElementType>(type: T, length: number): ArrayByType[T] =>
  new constructors[type](length)

/**
 * Sees the memory of `bytes` as elements of `type`. Shares memory where the start is aligned to the element, else copies.
 *
 * Throws `RangeError` if the length is not a multiple of the element.
 */
export const viewArray = <T extends ElementType>(type: T, bytes: ArrayBufferView): ArrayByType[T] => {
  const size = elementBytes(type)
  if (bytes.byteLength % size !== 0) {
    throw new RangeError(`Cannot view ${bytes.byteLength} bytes as ${type}: not a multiple of ${size}`)
  }
  if (bytes.byteOffset % size === 0) {
    return new constructors[type](bytes.buffer, bytes.byteOffset, bytes.byteLength / size)
  }
  const copy = new Uint8Array(bytes.byteLength)
  copy.set(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength))
  return new constructors[type](copy.buffer, 0, bytes.byteLength / size)
}

/** Sees the memory of any array as bytes. Shares memory. */
export const viewBytes = (array: ArrayBufferView): Uint8Array =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength)
