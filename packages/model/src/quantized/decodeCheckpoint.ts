/**
 * Quantized checkpoints of Hugging Face: the matrices that their tensors hold together.
 * @module
 */
import type { Checkpoint, CheckpointTensor } from "../Checkpoint.ts"
import type { Fields } from "../Fields.ts"
import { readAwq } from "./awq.ts"
import { readBitsandbytes } from "./bitsandbytes.ts"
import { readFloats8 } from "./floats8.ts"
import { readGptq } from "./gptq.ts"
import { readMxfp4 } from "./mxfp4.ts"
import { type CodedMatrix, type Decoded, StoredTensors } from "./StoredTensors.ts"

/** Reads a checkpoint's matrices by what its configuration says about all of them. */
type Method = (stored: StoredTensors, fields: Fields) => Decoded

const METHODS: ReadonlyMap<string, Method> = new Map<string, Method>([
  ["gptq", readGptq],
  ["awq", readAwq],
  ["bitsandbytes", readBitsandbytes],
  ["fp8", readFloats8],
  ["mxfp4", readMxfp4]
])

/** Names that only tensors of a quantized checkpoint have. */
const SIGNS = [".qweight", ".g_idx", ".SCB", ".weight.quant_map", ".weight_scale_inv"]

/**
 * The checkpoint with one matrix (N, K), called `X.weight`, for the several tensors of each quantized layer `X`.
 *
 * `fields`: the `quantization_config`. Reads headers, and the group indices of act-order layers. Throws
 * `ConfigurationError`, and `FormatError` where configuration and tensors disagree.
 */
export const decodeCheckpoint = (checkpoint: Checkpoint, fields: Fields | undefined): Checkpoint => {
  const stored = new StoredTensors(checkpoint)
  if (fields === undefined) {
    for (const sign of SIGNS) {
      const [stem] = stored.stems(sign)
      if (stem !== undefined) throw stored.fail(stem + sign, "is quantized, but there is no quantization_config")
    }
    return checkpoint
  }
  const method = fields.need("quant_method", fields.string("quant_method"))
  const read = METHODS.get(method)
  if (read === undefined) {
    throw fields.fail("quant_method", `is "${method}", known are ${[...METHODS.keys()].join(", ")}`)
  }
  const { encoding, matrices } = read(stored, fields)
  if (matrices.length === 0) throw fields.fail("quant_method", `is "${method}", but no tensor of it is there`)
  const tensors = new Map<string, CheckpointTensor>(checkpoint.tensors)
  for (const part of matrices.flatMap(({ parts }) => parts)) tensors.delete(part)
  for (const { tensor } of matrices) {
    if (tensors.has(tensor.name)) throw stored.fail(tensor.name, "is there twice, as floats and as codes")
    tensors.set(tensor.name, tensor)
  }
  return {
    ...checkpoint,
    tensors,
    empty: zeroBiases(stored, matrices),
    stored: { tensors: checkpoint.tensors, encoding }
  }
}

/** Biases of quantized layers that are zero: some quantizers write one for every layer, whether the model has it or not. */
const zeroBiases = (stored: StoredTensors, matrices: ReadonlyArray<CodedMatrix>): ReadonlySet<string> => {
  const names = matrices.map(({ tensor }) => tensor.name.replace(/weight$/, "bias"))
  return new Set(names.filter((name) => stored.find(name) !== undefined && stored.floats(name).every((x) => x === 0)))
}
