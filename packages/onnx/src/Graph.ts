/**
 * A builder of ONNX graphs.
 * @module
 */
import { countElements, type ElementType, elementBytes } from "@swarm/tensor"
import {
  type Attribute,
  type ExternalData,
  type Initializer,
  type Node,
  type ValueInfo,
  writeModel
} from "./internal/write.ts"

export type { Attribute, ExternalData } from "./internal/write.ts"

/** The name of a value in a graph. "" is an absent optional input. */
export type Value = string

/** What a node may say beside its inputs. */
export interface NodeOptions {
  readonly attributes?: Readonly<Record<string, Attribute>>
  /** @default "" (ai.onnx); "com.microsoft" for contrib operators */
  readonly domain?: string
  /** Name of the single output of `node`. @default a fresh one */
  readonly name?: string
}

/**
 * Builds one graph, front to back: a value is defined before it is used.
 *
 * Every method throws `TypeError` for a name that is defined twice or used before it is defined, and `RangeError` for a
 * shape that is none.
 */
export interface GraphBuilder {
  /** Declares an input. A string in `shape` names a free extent. */
  readonly input: (name: string, type: ElementType, shape: ReadonlyArray<number | string>) => Value
  /** Declares a defined value as an output. */
  readonly output: (name: Value, type: ElementType, shape: ReadonlyArray<number | string>) => void
  /**
   * An initializer with its bytes inside the model. Small tensors only: a model holds 2 GB, and they are copied.
   * @param data borrowed until the last `bytes()`; as many bytes as type and shape take, else `RangeError`
   */
  readonly constant: (name: string, type: ElementType, shape: ReadonlyArray<number>, data: ArrayBufferView) => Value
  /** An initializer whose bytes lie in a file. */
  readonly external: (name: string, type: ElementType, shape: ReadonlyArray<number>, data: ExternalData) => Value
  /** One node with one output. */
  readonly node: (operator: string, inputs: ReadonlyArray<Value>, options?: NodeOptions) => Value
  /** One node with the given outputs ("" leaves one out). */
  readonly nodes: (
    operator: string,
    inputs: ReadonlyArray<Value>,
    outputs: ReadonlyArray<Value>,
    options?: NodeOptions
  ) => ReadonlyArray<Value>
  /** The serialized ModelProto, fresh. */
  readonly bytes: () => Uint8Array
}

/** Options of {@link graph}. */
export interface GraphOptions {
  /** The graph's name, for people. @default "graph" */
  readonly name?: string
}

const checkShape = (name: string, shape: ReadonlyArray<number | string>): void => {
  for (const extent of shape) {
    const fits = typeof extent === "string" ? extent !== "" : Number.isSafeInteger(extent) && extent >= 0
    if (!fits) throw new RangeError(`Cannot define "${name}" with shape [${shape}]: ${extent} is not an extent`)
  }
}

/**
 * Starts a graph: ONNX IR version 10, operators of ai.onnx 21 and com.microsoft 1.
 *
 * @example y = x + 1
 * ```ts
 * import { graph } from "@swarm/onnx"
 *
 * const g = graph()
 * const x = g.input("x", "f32", ["rows", 4])
 * const one = g.constant("one", "f32", [], Float32Array.of(1))
 * g.output(g.node("Add", [x, one], { name: "y" }), "f32", ["rows", 4])
 * const model = g.bytes()
 * ```
 */
export const graph = (options: GraphOptions = {}): GraphBuilder => {
  const inputs: Array<ValueInfo> = []
  const outputs = new Map<string, ValueInfo>()
  const initializers: Array<Initializer> = []
  const nodes: Array<Node> = []
  const defined = new Set<string>()

  const define = (name: string): Value => {
    if (name === "") throw new TypeError("Cannot define a value without a name")
    if (defined.has(name)) throw new TypeError(`Cannot define "${name}": the name is taken`)
    defined.add(name)
    return name
  }
  const fresh = (operator: string): string => {
    let name: string
    let count = nodes.length
    do name = `${operator}_${count++}`
    while (defined.has(name))
    return name
  }
  const add: GraphBuilder["nodes"] = (operator, from, to, { attributes = {}, domain = "" } = {}) => {
    for (const name of from) {
      if (name !== "" && !defined.has(name)) {
        throw new TypeError(`Cannot add ${operator}: its input "${name}" is not defined`)
      }
    }
    for (const name of to) if (name !== "") define(name)
    nodes.push({ operator, domain, inputs: [...from], outputs: [...to], attributes })
    return to
  }

  return {
    input: (name, type, shape) => {
      checkShape(name, shape)
      inputs.push({ name: define(name), type, shape })
      return name
    },
    output: (name, type, shape) => {
      checkShape(name, shape)
      if (!defined.has(name)) throw new TypeError(`Cannot output "${name}": it is not defined`)
      if (outputs.has(name)) throw new TypeError(`Cannot output "${name}" twice`)
      outputs.set(name, { name, type, shape })
    },
    constant: (name, type, shape, data) => {
      const bytes = countElements(shape) * elementBytes(type)
      if (data.byteLength !== bytes) {
        throw new RangeError(`Cannot define "${name}": ${type} [${shape}] takes ${bytes} bytes, not ${data.byteLength}`)
      }
      initializers.push({ name: define(name), type, shape, data })
      return name
    },
    external: (name, type, shape, external) => {
      const bytes = countElements(shape) * elementBytes(type)
      if (external.length !== bytes) {
        throw new RangeError(`Cannot define "${name}": ${type} [${shape}] takes ${bytes} bytes, not ${external.length}`)
      }
      if (!Number.isSafeInteger(external.offset) || external.offset < 0) {
        throw new RangeError(`Cannot define "${name}": ${external.offset} is not an offset`)
      }
      initializers.push({ name: define(name), type, shape, external })
      return name
    },
    node: (operator, from, rest = {}) => {
      const name = rest.name ?? fresh(operator)
      add(operator, from, [name], rest)
      return name
    },
    nodes: add,
    bytes: () =>
      writeModel({ name: options.name ?? "graph", inputs, outputs: [...outputs.values()], initializers, nodes })
  }
}
