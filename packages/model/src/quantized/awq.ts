/**
 * AWQ checkpoints (version "gemm"): `qweight`, `qzeros` and `scales` of each linear layer, eight columns interleaved.
 * @see https://github.com/casper-hansen/AutoAWQ
 * @module
 */
import { awqCodes, groupedLayouts, unpackAwqZeros } from "@swarm/quant"
import type { Fields } from "../Fields.ts"
import { groupedMatrix, groupSizeOf } from "./gptq.ts"
import { type CodedMatrix, type Decoded, FLOATS, type StoredTensors } from "./StoredTensors.ts"

const BITS = 4 as const

/** Every quantized layer of a checkpoint. */
export const readAwq = (stored: StoredTensors, fields: Fields): Decoded => {
  // files of the first versions call the fields so
  const old = fields.has("w_bit")
  const bits = fields.number(old ? "w_bit" : "bits") ?? BITS
  if (bits !== BITS) throw fields.fail(old ? "w_bit" : "bits", `is ${bits}, AWQ has ${BITS}`)
  const version = (fields.string("version") ?? "gemm").toLowerCase()
  if (version !== "gemm") {
    throw fields.fail("version", `is "${version}", only the order of columns of "gemm" is known`)
  }
  const size = groupSizeOf(fields, old ? "q_group_size" : "group_size")
  return {
    encoding: JSON.stringify(["awq", size]),
    matrices: stored.stems(".qweight").map((stem) => layerOf(stored, stem, size))
  }
}

const layerOf = (stored: StoredTensors, stem: string, size: number): CodedMatrix => {
  const name = (part: string) => `${stem}.${part}`
  const [inFeatures, words] = stored.matrix(name("qweight"), "i32")
  const outFeatures = words * 8
  if (inFeatures % 8 !== 0) throw stored.fail(name("qweight"), `${inFeatures} inputs are no multiple of 8`)
  const groupSize = size === -1 ? inFeatures : Math.min(size, inFeatures)
  const groups = Math.ceil(inFeatures / groupSize)
  stored.check(name("scales"), { types: FLOATS, shape: [groups, outFeatures] })
  stored.check(name("qzeros"), { types: ["i32"], shape: [groups, words] })
  const read = () => ({
    bits: BITS,
    inFeatures,
    outFeatures,
    groupSize,
    codes: awqCodes(stored.words(name("qweight")), inFeatures, outFeatures),
    scales: stored.floats(name("scales")),
    zeros: unpackAwqZeros(stored.words(name("qzeros")), groups, outFeatures)
  })
  return stored.coded(
    name("weight"),
    "AWQ",
    [outFeatures, inFeatures],
    ["qweight", "qzeros", "scales"].map(name),
    groupedMatrix(groupedLayouts(BITS, groupSize, inFeatures, true), read, { groupSize })
  )
}
