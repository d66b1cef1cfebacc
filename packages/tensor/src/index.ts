/**
 * Element types, half-precision conversion, safetensors.
 * @module
 */
export * from "./convert.ts"
export * from "./Element.ts"
export * from "./FormatError.ts"
export * from "./file.ts"
export * from "./Safetensors.ts"
export * from "./writeSafetensors.ts"
