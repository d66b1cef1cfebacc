/**
 * MXFP4 checkpoints: `X_blocks` u8 (..., N, K / 32, 16) and `X_scales` u8 (..., N, K / 32).
 * @see https://huggingface.co/docs/transformers/quantization/mxfp4
 * @module
 */
import { mxfp4Blocks } from "@swarm/quant"
import { ggufMatrix } from "../StoredMatrix.ts"
import type { CodedMatrix, Decoded, StoredTensors } from "./StoredTensors.ts"

/** Every quantized matrix of a checkpoint; several of one shape (experts) stay one tensor. */
export const readMxfp4 = (stored: StoredTensors): Decoded => ({
  encoding: '["mxfp4"]',
  matrices: stored.stems("_blocks").map((stem) => matrixOf(stored, stem))
})

const matrixOf = (stored: StoredTensors, stem: string): CodedMatrix => {
  const [codes, exponents] = [`${stem}_blocks`, `${stem}_scales`]
  const { shape } = stored.need(codes)
  const outer = shape.slice(0, -2)
  const blocks = shape.at(-2) ?? 0
  if (outer.length < 1 || blocks < 1 || shape.at(-1) !== 16) {
    throw stored.fail(codes, `it has shape [${shape}] instead of (..., rows, blocks, 16)`)
  }
  stored.check(codes, { types: ["u8"], shape: [...outer, blocks, 16] })
  stored.check(exponents, { types: ["u8"], shape: [...outer, blocks] })
  const bytes = (name: string, from: number, to: number, row: number) =>
    stored.checkpoint.read(name, from * row, (to - from) * row)
  const matrix = ggufMatrix("MXFP4", blocks * 32, (from, to) =>
    mxfp4Blocks(bytes(codes, from, to, blocks * 16), bytes(exponents, from, to, blocks))
  )
  return stored.coded(`${stem}.weight`, "MXFP4", [...outer, blocks * 32], [codes, exponents], matrix)
}
