/**
 * Serializes a graph as a ModelProto.
 * @module
 */
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire"
import { type ElementType, viewBytes } from "@swarm/tensor"
import { dataType } from "../DataType.ts"
import * as Field from "./fields.ts"

/** An attribute. A plain integer is `{ i }`; `number` alone would be ambiguous. */
export type Attribute =
  | { readonly i: number }
  | { readonly f: number }
  | { readonly s: string }
  | { readonly ints: ReadonlyArray<number> }

/** Where the bytes of an initializer lie outside the model. `extra` goes verbatim into `external_data`. */
export interface ExternalData {
  /** A path relative to the folder that the model is loaded with. */
  readonly location: string
  readonly offset: number
  readonly length: number
  readonly extra?: Readonly<Record<string, string>>
}

export interface ValueInfo {
  readonly name: string
  readonly type: ElementType
  readonly shape: ReadonlyArray<number | string>
}

export type Initializer = {
  readonly name: string
  readonly type: ElementType
  readonly shape: ReadonlyArray<number>
} & ({ readonly data: ArrayBufferView } | { readonly external: ExternalData })

export interface Node {
  readonly operator: string
  readonly domain: string
  readonly inputs: ReadonlyArray<string>
  readonly outputs: ReadonlyArray<string>
  readonly attributes: Readonly<Record<string, Attribute>>
}

export interface Graph {
  readonly name: string
  readonly inputs: ReadonlyArray<ValueInfo>
  readonly outputs: ReadonlyArray<ValueInfo>
  readonly initializers: ReadonlyArray<Initializer>
  readonly nodes: ReadonlyArray<Node>
}

/** ONNX IR version 10 goes with ai.onnx 21. */
const IR_VERSION = 10
const OPSETS = [
  ["", 21],
  ["com.microsoft", 1]
] as const

/** A message of protobuf cannot be longer. */
const MAX_BYTES = 2 ** 31 - 1

const int = (w: BinaryWriter, field: number, value: number) => w.tag(field, WireType.Varint).int64(value)
const text = (w: BinaryWriter, field: number, value: string) => w.tag(field, WireType.LengthDelimited).string(value)
const message = (w: BinaryWriter, field: number, write: () => void) => {
  w.tag(field, WireType.LengthDelimited).fork()
  write()
  w.join()
}
const ints = (w: BinaryWriter, field: number, values: ReadonlyArray<number>) => {
  for (const value of values) int(w, field, value)
}

const writeAttribute = (w: BinaryWriter, name: string, value: Attribute): void => {
  const P = Field.AttributeProto
  text(w, P.name, name)
  if ("i" in value) {
    int(w, P.i, value.i)
    int(w, P.type, Field.AttributeType.int)
  } else if ("f" in value) {
    w.tag(P.f, WireType.Bit32).float(value.f)
    int(w, P.type, Field.AttributeType.float)
  } else if ("s" in value) {
    text(w, P.s, value.s)
    int(w, P.type, Field.AttributeType.string)
  } else {
    ints(w, P.ints, value.ints)
    int(w, P.type, Field.AttributeType.ints)
  }
}

const writeNode = (w: BinaryWriter, node: Node): void => {
  const P = Field.NodeProto
  for (const name of node.inputs) text(w, P.input, name)
  for (const name of node.outputs) text(w, P.output, name)
  text(w, P.operator, node.operator)
  for (const [name, value] of Object.entries(node.attributes)) {
    message(w, P.attribute, () => writeAttribute(w, name, value))
  }
  if (node.domain !== "") text(w, P.domain, node.domain)
}

const writeInitializer = (w: BinaryWriter, tensor: Initializer): void => {
  const P = Field.TensorProto
  ints(w, P.dims, tensor.shape)
  int(w, P.dataType, dataType(tensor.type))
  text(w, P.name, tensor.name)
  if ("data" in tensor) {
    w.tag(P.rawData, WireType.LengthDelimited).bytes(viewBytes(tensor.data))
    return
  }
  const { extra = {}, length, location, offset } = tensor.external
  const entries: ReadonlyArray<readonly [string, string]> = [
    ["location", location],
    ["offset", String(offset)],
    ["length", String(length)],
    ...Object.entries(extra)
  ]
  for (const [key, value] of entries) {
    message(w, P.externalData, () => {
      text(w, Field.StringEntry.key, key)
      text(w, Field.StringEntry.value, value)
    })
  }
  int(w, P.dataLocation, Field.EXTERNAL)
}

const writeValueInfo = (w: BinaryWriter, value: ValueInfo): void => {
  text(w, Field.ValueInfoProto.name, value.name)
  message(w, Field.ValueInfoProto.type, () =>
    message(w, Field.TypeProto.tensor, () => {
      int(w, Field.TypeProtoTensor.elementType, dataType(value.type))
      message(w, Field.TypeProtoTensor.shape, () => {
        for (const extent of value.shape) {
          message(w, Field.TensorShapeProto.dim, () => {
            if (typeof extent === "number") int(w, Field.Dimension.value, extent)
            else text(w, Field.Dimension.parameter, extent)
          })
        }
      })
    })
  )
}

/** Serializes `graph`. Throws `RangeError` beyond the 2 GB of a protobuf message. */
export const writeModel = (graph: Graph): Uint8Array => {
  let inside = 0
  for (const tensor of graph.initializers) if ("data" in tensor) inside += tensor.data.byteLength
  if (inside > MAX_BYTES) {
    throw new RangeError(`Cannot put ${inside} bytes of constants into a model: use external data over ${MAX_BYTES}`)
  }
  const w = new BinaryWriter()
  int(w, Field.ModelProto.irVersion, IR_VERSION)
  text(w, Field.ModelProto.producerName, "swarm")
  message(w, Field.ModelProto.graph, () => {
    const P = Field.GraphProto
    for (const node of graph.nodes) message(w, P.node, () => writeNode(w, node))
    text(w, P.name, graph.name)
    for (const tensor of graph.initializers) message(w, P.initializer, () => writeInitializer(w, tensor))
    for (const value of graph.inputs) message(w, P.input, () => writeValueInfo(w, value))
    for (const value of graph.outputs) message(w, P.output, () => writeValueInfo(w, value))
  })
  for (const [domain, version] of OPSETS) {
    message(w, Field.ModelProto.opsetImport, () => {
      text(w, Field.OperatorSetIdProto.domain, domain)
      int(w, Field.OperatorSetIdProto.version, version)
    })
  }
  return w.finish()
}
