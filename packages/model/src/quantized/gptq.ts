/**
 * GPTQ checkpoints: `qweight`, `qzeros`, `scales` and `g_idx` of each linear layer.
 * @see https://github.com/ModelCloud/GPTQModel (versions 1 and 2 of the format)
 * @module
 */
import {
  blockedRows,
  expandGroups,
  type GroupedCodes,
  groupedBlocks,
  groupedLayouts,
  groupOrder,
  PADDING,
  unpackZeros
} from "@swarm/quant"
import type { Fields } from "../Fields.ts"
import type { StoredMatrix } from "../StoredMatrix.ts"
import { type CodedMatrix, type Decoded, FLOATS, type StoredTensors } from "./StoredTensors.ts"

/** What a configuration says about all layers. */
interface Settings {
  readonly bits: GroupedCodes["bits"]
  /** Inputs that share a scale; -1: all of a column. */
  readonly groupSize: number
  readonly symmetric: boolean
  /** Act-order: inputs belong to groups in an order of their own. */
  readonly ordered: boolean
  /** Version 1 of the format stores zero points minus one. */
  readonly minusOne: boolean
}

const WIDTHS: ReadonlyArray<GroupedCodes["bits"]> = [2, 3, 4, 8]

const settingsOf = (fields: Fields): Settings => {
  const given = fields.need("bits", fields.number("bits"))
  const bits = WIDTHS.find((width) => width === given)
  if (bits === undefined) throw fields.fail("bits", `is ${given}, not 2, 3, 4 or 8`)
  const format = fields.string("checkpoint_format") ?? "gptq"
  if (format !== "gptq" && format !== "gptq_v2") {
    throw fields.fail("checkpoint_format", `is "${format}", known are gptq and gptq_v2`)
  }
  return {
    bits,
    groupSize: groupSizeOf(fields),
    symmetric: fields.boolean("sym") ?? true,
    ordered: (fields.boolean("desc_act") ?? false) && !(fields.boolean("static_groups") ?? false),
    minusOne: format === "gptq"
  }
}

/** `group_size`: -1 or a positive integer. */
export const groupSizeOf = (fields: Fields, key = "group_size"): number => {
  const size = fields.need(key, fields.number(key))
  if (size !== -1 && !(Number.isSafeInteger(size) && size >= 1))
    throw fields.fail(key, `is ${size}, not -1 or positive`)
  return size
}

/** Every quantized layer of a checkpoint. */
export const readGptq = (stored: StoredTensors, fields: Fields): Decoded => {
  const settings = settingsOf(fields)
  return {
    encoding: JSON.stringify(["gptq", settings]),
    matrices: stored.stems(".qweight").map((stem) => layerOf(stored, stem, settings))
  }
}

const layerOf = (stored: StoredTensors, stem: string, settings: Settings): CodedMatrix => {
  const { bits, symmetric, minusOne } = settings
  const name = (part: string) => `${stem}.${part}`
  const [words, outFeatures] = stored.matrix(name("qweight"), "i32")
  const inFeatures = (words * 32) / bits
  if (!Number.isInteger(inFeatures) || (outFeatures * bits) % 32 !== 0) {
    throw stored.fail(name("qweight"), `[${words},${outFeatures}] words hold no whole columns of ${bits}-bit codes`)
  }
  const groupSize = settings.groupSize === -1 ? inFeatures : Math.min(settings.groupSize, inFeatures)
  const groups = Math.ceil(inFeatures / groupSize)
  stored.check(name("scales"), { types: FLOATS, shape: [groups, outFeatures] })
  stored.check(name("qzeros"), { types: ["i32"], shape: [groups, (outFeatures * bits) / 32] })
  const indexed = stored.find(name("g_idx")) !== undefined
  if (settings.ordered && !indexed) throw stored.fail(name("g_idx"), "is missing, and the configuration says act-order")
  const groupIndex = indexed ? readGroupIndex(stored, name("g_idx"), inFeatures, groupSize) : undefined
  const order = groupIndex && groupOrder(groupIndex, groups).order

  const read = (): GroupedCodes => {
    const zeros = unpackZeros(stored.words(name("qzeros")), groups, outFeatures, bits, minusOne)
    const off = symmetric ? zeros.find((zero) => zero !== 2 ** (bits - 1)) : undefined
    if (off !== undefined) {
      throw stored.fail(name("qzeros"), `a zero point is ${off}, and the configuration says symmetric codes`)
    }
    return {
      bits,
      inFeatures,
      outFeatures,
      groupSize,
      codes: stored.words(name("qweight")),
      scales: stored.floats(name("scales")),
      ...(symmetric ? {} : { zeros }),
      ...(groupIndex === undefined ? {} : { groupIndex })
    }
  }
  return stored.coded(
    name("weight"),
    "GPTQ",
    [outFeatures, inFeatures],
    [name("qweight"), name("qzeros"), name("scales"), ...(indexed ? [name("g_idx")] : [])],
    groupedMatrix(groupedLayouts(bits, groupSize, inFeatures, !symmetric), read, { groupSize, groupIndex, order })
  )
}

/** How inputs belong to groups. */
interface Grouping {
  readonly groupSize: number
  readonly groupIndex?: Uint32Array | undefined
  /** Of the inputs, if groups are not in their order. */
  readonly order?: Uint32Array | undefined
}

/** A matrix of grouped codes, read anew for each use. */
export const groupedMatrix = (
  layouts: StoredMatrix["layouts"],
  read: () => GroupedCodes,
  grouping: Grouping
): StoredMatrix => {
  const { order } = grouping
  return {
    layouts,
    ...(order === undefined ? {} : { order }),
    blocks: ({ bits, blockSize }, from, to) => {
      const columns = Uint32Array.from({ length: to - from }, (_, i) => from + i)
      return groupedBlocks(read(), { bits, blockSize, columns, ...(order === undefined ? {} : { rows: order }) })
    },
    floats: (from, to, out) => {
      expandGroups(read(), from, to, out)
    },
    part: (outputs, inputs) => groupedPart(layouts, read, grouping, outputs, inputs)
  }
}

/** Some inputs and outputs of a matrix of grouped codes. Where the inputs' groups do not fill blocks, zeros do. */
const groupedPart = (
  layouts: StoredMatrix["layouts"],
  read: () => GroupedCodes,
  { groupSize, groupIndex }: Grouping,
  outputs: Uint32Array,
  inputs: Uint32Array
): StoredMatrix => {
  const grouped = { groupSize, ...(groupIndex === undefined ? {} : { groupIndex }) }
  const { positions, blockSize } = blockedRows(grouped, inputs)
  const rows = positions.map((position) => (position === PADDING ? PADDING : (inputs[position] ?? 0)))
  const asGiven = positions.length === inputs.length && positions.every((position, i) => position === i)
  return {
    layouts: layouts.map((layout) => ({ ...layout, blockSize })),
    // what a weight of zero is multiplied with does not matter
    ...(asGiven ? {} : { order: positions.map((position) => (position === PADDING ? 0 : position)) }),
    blocks: (layout, from, to) =>
      groupedBlocks(read(), { bits: layout.bits, blockSize, rows, columns: outputs.subarray(from, to) }),
    floats: (from, to, out) => {
      const linear = read()
      const row = new Float32Array(linear.inFeatures)
      for (let at = from; at < to; at++) {
        const output = outputs[at] ?? 0
        expandGroups(linear, output, output + 1, row)
        for (let i = 0; i < inputs.length; i++) out[(at - from) * inputs.length + i] = row[inputs[i]!]!
      }
    }
  }
}

/** `g_idx`, or undefined if it is that of groups in the order of the inputs. */
const readGroupIndex = (
  stored: StoredTensors,
  name: string,
  inFeatures: number,
  groupSize: number
): Uint32Array | undefined => {
  stored.check(name, { types: ["i32"], shape: [inFeatures] })
  const index = stored.words(name)
  if (index.every((group, row) => group === Math.floor(row / groupSize))) return undefined
  const groups = Math.ceil(inFeatures / groupSize)
  const sizes = new Uint32Array(groups)
  index.forEach((group, row) => {
    if (group >= groups) throw stored.fail(name, `input ${row} is of group ${group | 0}, of ${groups}`)
    sizes[group] = (sizes[group] ?? 0) + 1
  })
  sizes.forEach((size, group) => {
    const wanted = group < groups - 1 ? groupSize : inFeatures - groupSize * (groups - 1)
    if (size !== wanted) throw stored.fail(name, `group ${group} has ${size} inputs instead of ${wanted}`)
  })
  return index
}
