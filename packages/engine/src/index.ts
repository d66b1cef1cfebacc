/**
 * Runs ONNX graphs through ONNX Runtime with device buffers.
 * @module
 */
export * from "./Binding.ts"
export * from "./Capi.ts"
export * from "./Engine.ts"
export * from "./EngineError.ts"
export * from "./instructionSet.ts"
export * from "./layer.ts"
