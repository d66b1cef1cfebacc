/**
 * A graph that is built once and written whole, or cut into segments at marked values: what is between two cuts runs as
 * a graph of its own.
 * @module
 */
import { type GraphBuilder, graph, type Value } from "@swarm/onnx"
import type { Segment } from "../Plan.ts"

/** A `GraphBuilder` that can be cut. */
export interface CutGraph {
  readonly builder: GraphBuilder
  /** Ends a segment: everything that is added from now on may read `value` only after it has been dealt with. */
  readonly cut: (value: Value) => void
  /** The segments. `source` is the input that activations come from; they all have its type and `shape`. */
  readonly segments: (source: Value, shape: ReadonlyArray<number | string>) => ReadonlyArray<Segment>
}

/** One call of a builder's method, with the names that it defines and those that it uses. */
interface Entry {
  readonly defines: ReadonlyArray<Value>
  readonly uses: ReadonlyArray<Value>
  readonly replay: (g: GraphBuilder) => void
  readonly segment: number
}

export const cutGraph = (name: string): CutGraph => {
  const whole = graph({ name })
  const entries: Array<Entry> = []
  const outputs: Array<{ readonly value: Value; readonly declare: (g: GraphBuilder) => void }> = []
  const cuts: Array<Value> = []
  const record = (defines: ReadonlyArray<Value>, uses: ReadonlyArray<Value>, replay: (g: GraphBuilder) => void) => {
    const filled = (names: ReadonlyArray<Value>) => names.filter((value) => value !== "")
    entries.push({ defines: filled(defines), uses: filled(uses), replay, segment: cuts.length })
  }
  const builder: GraphBuilder = {
    input: (value, type, shape) => {
      whole.input(value, type, shape)
      record([value], [], (g) => g.input(value, type, shape))
      return value
    },
    output: (value, type, shape) => {
      whole.output(value, type, shape)
      outputs.push({ value, declare: (g) => g.output(value, type, shape) })
    },
    constant: (value, type, shape, data) => {
      whole.constant(value, type, shape, data)
      record([value], [], (g) => g.constant(value, type, shape, data))
      return value
    },
    external: (value, type, shape, data) => {
      whole.external(value, type, shape, data)
      record([value], [], (g) => g.external(value, type, shape, data))
      return value
    },
    node: (operator, inputs, options) => {
      const value = whole.node(operator, inputs, options)
      record([value], inputs, (g) => g.node(operator, inputs, { ...options, name: value }))
      return value
    },
    nodes: (operator, inputs, values, options) => {
      whole.nodes(operator, inputs, values, options)
      record(values, inputs, (g) => g.nodes(operator, inputs, values, options))
      return values
    },
    bytes: () => whole.bytes()
  }

  const segments: CutGraph["segments"] = (source, shape) => {
    const definedBy = new Map(entries.flatMap((entry) => entry.defines.map((value) => [value, entry] as const)))
    // what depends on the source is handed on between segments; anything else is made again where it is used
    const active = new Set<Value>([source])
    for (const { defines, uses } of entries) {
      if (uses.some((value) => active.has(value))) for (const value of defines) active.add(value)
    }
    const parts = Array.from({ length: cuts.length + 1 }, (_, segment) => {
      const needed = new Set<Entry>()
      const reads = new Set<Value>()
      const need = (entry: Entry): void => {
        if (needed.has(entry)) return
        needed.add(entry)
        for (const value of entry.uses) {
          const from = definedBy.get(value)
          if (from === undefined) continue
          if (value === source || (active.has(value) && from.segment < segment)) reads.add(value)
          else need(from)
        }
      }
      for (const entry of entries) {
        const own = entry.segment === segment && entry.defines.some((value) => active.has(value))
        if (own && !entry.defines.includes(source)) need(entry)
      }
      return { needed, reads: [...reads] }
    })
    return parts.map(({ needed, reads }, segment) => {
      const g = graph({ name: `${name}, part ${segment}` })
      for (const value of reads) g.input(value, "f32", shape)
      for (const entry of entries) if (needed.has(entry)) entry.replay(g)
      const defined = new Set([...needed].flatMap(({ defines }) => defines))
      const cut = cuts[segment]
      const writes = [...defined].filter(
        (value) => active.has(value) && (value === cut || parts.some((part) => part.reads.includes(value)))
      )
      for (const value of writes) g.output(value, "f32", shape)
      for (const { value, declare } of outputs) if (defined.has(value)) declare(g)
      return { model: g.bytes(), reads, writes, ...(cut === undefined ? {} : { cut }) }
    })
  }
  return { builder, cut: (value) => cuts.push(value), segments }
}
