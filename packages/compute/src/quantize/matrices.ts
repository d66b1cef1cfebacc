/**
 * The matrices of a model's blocks as a checkpoint in Hugging Face layout has them, and all its other tensors.
 * @module
 */
import {
  type Architecture,
  type BlockRole,
  type CheckpointTensor,
  findDialect,
  type Model,
  readFloats,
  type Slice,
  slice,
  type Weights
} from "@swarm/model"
import { encodeFloats, type TensorToWrite } from "@swarm/tensor"

/** A matrix of a block. */
export interface BlockMatrix {
  /** Name in the new checkpoint without `.weight`. */
  readonly stem: string
  /** Of the source. */
  readonly tensor: CheckpointTensor
  /** What it is for; several where a tensor holds several. */
  readonly roles: ReadonlyArray<BlockRole>
  /** f32 (rows, columns), fresh. */
  readonly read: () => Float32Array
  readonly rows: number
  readonly columns: number
  /** Row of the source for each row of the new checkpoint; absent: as they are. */
  readonly order?: Int32Array
}

const MATRICES: ReadonlyArray<BlockRole> = [
  "attn.q",
  "attn.k",
  "attn.v",
  "attn.output",
  "mlp.gate",
  "mlp.up",
  "mlp.down"
]

/** How a source's tensors are called and ordered in the new checkpoint. */
export interface Naming {
  /** The matrices of a block. */
  readonly matrices: (block: number) => ReadonlyArray<BlockMatrix>
  /** Tensors of a block besides its matrices; of what lies outside of the blocks where `block` is undefined. */
  readonly others: (block: number | undefined) => ReadonlyArray<TensorToWrite>
}

/** The naming of a model. Folders in Hugging Face layout keep their names and their bytes. */
export const namingOf = (model: Model): Naming => {
  const { architecture, opened } = model
  return opened.source.format === "huggingFace"
    ? huggingFaceNaming(opened.weights, architecture)
    : ggufNaming(opened.weights, architecture)
}

/** The slice of a role, or undefined where a block has none. */
const find = (weights: Weights, role: BlockRole, block: number): Slice | undefined => {
  try {
    return weights.weight(role, block)
  } catch {
    return undefined
  }
}

const huggingFaceNaming = (weights: Weights, { blocks }: Architecture): Naming => {
  const { checkpoint } = weights
  const matrices = (block: number): ReadonlyArray<BlockMatrix> => {
    const found = new Map<string, { readonly tensor: CheckpointTensor; readonly roles: Array<BlockRole> }>()
    for (const role of MATRICES) {
      const source = find(weights, role, block)
      if (source === undefined) continue
      const { name, matrix } = source.tensor
      if (matrix !== undefined) throw new RangeError(`"${name}" is quantized already`)
      // transposed, or rows of several roles in turn: a view of what the checkpoint has
      if (source.checkpoint !== checkpoint) {
        throw new RangeError(`"${name}" is stored in another layout than (outputs, inputs)`)
      }
      const tensor = checkpoint.tensors.get(name) ?? source.tensor
      const entry = found.get(tensor.name) ?? { tensor, roles: [] }
      entry.roles.push(role)
      found.set(tensor.name, entry)
    }
    return [...found.values()].map(({ tensor, roles }) => {
      const whole = slice(checkpoint, tensor)
      const stem = tensor.name.replace(/\.weight$/, "")
      return { stem, tensor, roles, read: () => readFloats(whole), rows: whole.rows, columns: whole.columns }
    })
  }
  const own = new Map<string, number>()
  const taken = new Set<string>()
  for (let block = 0; block < blocks; block++) {
    for (const { tensor } of matrices(block)) taken.add(tensor.name)
    // every tensor of a block is called as its first matrix up to the number
    const [first] = matrices(block)
    const prefix = first?.tensor.name.slice(0, first.tensor.name.indexOf(`.${block}.`) + `.${block}.`.length)
    for (const name of checkpoint.tensors.keys())
      if (prefix !== undefined && name.startsWith(prefix)) own.set(name, block)
  }
  return {
    matrices,
    others: (block) =>
      [...checkpoint.tensors.values()]
        .filter(({ name }) => !taken.has(name) && own.get(name) === block)
        .map((tensor) => copied(tensor.name, slice(checkpoint, tensor)))
  }
}

/** Plain elements as they are, everything else as f16. */
const copied = (name: string, source: Slice): TensorToWrite => {
  const { checkpoint, tensor } = source
  const { type, shape } = tensor
  if (type === "f32" || type === "f16" || type === "bf16") {
    return { name, type, shape, data: checkpoint.read(tensor.name, 0, tensor.bytes) }
  }
  return { name, type: "f16", shape, data: encodeFloats("f16", readFloats(source)) }
}

const ggufNaming = (weights: Weights, architecture: Architecture): Naming => {
  const { tensors } = findDialect("huggingFace", architecture.family, weights.checkpoint.path)
  const nameOf = (role: keyof typeof tensors, block?: number): string => {
    const entry = tensors[role]
    if (typeof entry !== "string") throw new RangeError(`Family "${architecture.family}" has no name for ${role}`)
    return entry.replace("{}", `${block ?? ""}`)
  }
  const order = (role: BlockRole, rows: number): Int32Array | undefined => {
    const { headDim } = architecture.attention
    const turned = role === "attn.q" || role === "attn.k"
    return turned && architecture.rotaries[0]?.interleaved ? pairsApart(rows, headDim) : undefined
  }
  return {
    matrices: (block) =>
      MATRICES.flatMap((role) => {
        const source = find(weights, role, block)
        if (source === undefined) return []
        const rows = order(role, source.rows)
        return {
          stem: nameOf(role, block),
          tensor: source.tensor,
          roles: [role],
          read: () => readFloats(source),
          rows: source.rows,
          columns: source.columns,
          ...(rows === undefined ? {} : { order: rows })
        }
      }),
    others: (block) => {
      if (block === undefined) {
        return (["embedding", "norm", "head"] as const)
          .filter((role) => role !== "head" || !architecture.tiedEmbeddings)
          .map((role) => copied(`${nameOf(role)}.weight`, weights.weight(role)))
      }
      const norms = ["attn.norm", "mlp.norm", "attn.qNorm", "attn.kNorm"] as const
      const vectors = norms.flatMap((role) => {
        const source = find(weights, role, block)
        return source === undefined ? [] : copied(`${nameOf(role, block)}.weight`, source)
      })
      const biases = MATRICES.flatMap((role) => {
        const bias = find(weights, role, block) && weights.bias(role, block)
        return bias === undefined ? [] : biasOf(`${nameOf(role, block)}.bias`, bias, order(role, bias.columns))
      })
      return [...vectors, ...biases]
    }
  }
}

const biasOf = (name: string, bias: Slice, order: Int32Array | undefined): TensorToWrite => {
  const values = readFloats(bias)
  const data = order === undefined ? values : Float32Array.from(order, (row) => values[row] ?? 0)
  return { name, type: "f32", shape: [data.length], data }
}

/** Rows of interleaved rotary pairs (2i, 2i + 1) in the order of halves (i, i + headDim / 2). */
const pairsApart = (rows: number, headDim: number): Int32Array =>
  Int32Array.from({ length: rows }, (_, row) => {
    const within = row % headDim
    const half = headDim / 2
    return row - within + 2 * (within % half) + Math.floor(within / half)
  })
