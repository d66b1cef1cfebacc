/**
 * The numbers that ONNX gives to element types.
 * @see {@link https://github.com/onnx/onnx/blob/main/onnx/onnx.proto} TensorProto.DataType
 * @module
 */
import type { ElementType } from "@swarm/tensor"

const numbers: Readonly<Record<ElementType, number>> = {
  f32: 1,
  u8: 2,
  i8: 3,
  u16: 4,
  i16: 5,
  i32: 6,
  i64: 7,
  bool: 9,
  f16: 10,
  f64: 11,
  u32: 12,
  u64: 13,
  bf16: 16,
  f8e4m3: 17,
  f8e5m2: 19
}

/** The `TensorProto.DataType` of an element type. */
export const dataType = (type: ElementType): number => numbers[type]
