/**
 * Typed ONNX graph builder.
 * @module
 */
export * from "./DataType.ts"
export * from "./Graph.ts"
export * from "./ModelFormatError.ts"
export * from "./readExternalData.ts"
