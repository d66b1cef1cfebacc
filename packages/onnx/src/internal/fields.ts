/**
 * Field numbers of the ONNX messages that are written or read here.
 * @see {@link https://github.com/onnx/onnx/blob/main/onnx/onnx.proto}
 * @module
 */

export const ModelProto = { irVersion: 1, producerName: 2, graph: 7, opsetImport: 8 } as const
export const OperatorSetIdProto = { domain: 1, version: 2 } as const
export const GraphProto = { node: 1, name: 2, initializer: 5, input: 11, output: 12 } as const
export const NodeProto = { input: 1, output: 2, operator: 4, attribute: 5, domain: 7 } as const
export const AttributeProto = { name: 1, f: 2, i: 3, s: 4, ints: 8, type: 20 } as const
export const TensorProto = { dims: 1, dataType: 2, name: 8, rawData: 9, externalData: 13, dataLocation: 14 } as const
export const StringEntry = { key: 1, value: 2 } as const
export const ValueInfoProto = { name: 1, type: 2 } as const
export const TypeProto = { tensor: 1 } as const
export const TypeProtoTensor = { elementType: 1, shape: 2 } as const
export const TensorShapeProto = { dim: 1 } as const
export const Dimension = { value: 1, parameter: 2 } as const

/** `AttributeProto.type`. */
export const AttributeType = { float: 1, int: 2, string: 3, ints: 7 } as const

/** `TensorProto.data_location`. */
export const EXTERNAL = 1
