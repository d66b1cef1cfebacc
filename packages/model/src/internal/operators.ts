/**
 * The few shapes of nodes that block graphs are made of, over a `GraphBuilder`.
 * @module
 */
import type { GraphBuilder, Value } from "@swarm/onnx"

/** Domain of contrib operators. */
export const CONTRIB = "com.microsoft"

/** Builds nodes; what is asked for twice with the same inputs is made once. */
export interface Operators {
  readonly graph: GraphBuilder
  /** What `make` made when `key` was asked for first. */
  readonly once: (key: string, make: () => Value) => Value
  /** An i64 vector. */
  readonly ints: (values: ReadonlyArray<number>) => Value
  /** An f32 scalar. */
  readonly scalar: (value: number) => Value
  /** Whether the weights carry their offsets (see `OffsetFold`). */
  readonly folded: boolean
  readonly reshape: (x: Value, shape: ReadonlyArray<number>) => Value
  /** Cuts the last axis into pieces of `sizes`. */
  readonly splitLast: (x: Value, sizes: ReadonlyArray<number>) => ReadonlyArray<Value>
  /** x (..., columns) -> sums of each `blockSize` values, (..., columns / blockSize). */
  readonly blockSums: (x: Value, columns: number, blockSize: number) => Value
  /**
   * x (rows, columns) -> (2 * rows, columns): x rounded to int8 per block as the matmul kernel rounds it, so that it
   * loses nothing there, and below it the rest.
   */
  readonly splitRounding: (x: Value, columns: number, blockSize: number) => Value
  /** x (2 * rows, columns) -> the sum of its upper and its lower half, of the rank of activations. */
  readonly addHalves: (x: Value, columns: number) => Value
}

/**
 * `rank` is that of the activations: 2 (rows, hidden) or 3 (1, rows, hidden). `folded`: weights carry their offsets.
 */
export const makeOperators = (graph: GraphBuilder, rank: 2 | 3, folded = false): Operators => {
  const known = new Map<string, Value>()
  const once = (key: string, make: () => Value): Value => {
    const found = known.get(key)
    if (found !== undefined) return found
    const made = make()
    known.set(key, made)
    return made
  }
  const rows = rank === 3 ? [1, -1] : [-1]
  const ints: Operators["ints"] = (values) => {
    const name = `ints[${values}]`
    return once(name, () => graph.constant(name, "i64", [values.length], BigInt64Array.from(values, BigInt)))
  }
  const scalar: Operators["scalar"] = (value) => {
    const name = `scalar[${value}]`
    return once(name, () => graph.constant(name, "f32", [], Float32Array.of(value)))
  }
  const reshape: Operators["reshape"] = (x, shape) => graph.node("Reshape", [x, ints(shape)])
  const inBlocks = (x: Value, columns: number, blockSize: number): Value =>
    once(`blocks/${x}/${blockSize}`, () => reshape(x, [...rows, columns / blockSize, blockSize]))
  const reduce = (operator: string, x: Value, keep: boolean): Value =>
    graph.node(operator, [x, ints([-1])], { attributes: { keepdims: { i: keep ? 1 : 0 } } })
  let splits = 0
  const outputs = (count: number): Array<Value> => {
    const names = Array.from({ length: count }, (_, i) => `part_${splits}_${i}`)
    splits++
    return names
  }
  return {
    graph,
    folded,
    once,
    ints,
    scalar,
    reshape,
    splitLast: (x, sizes) =>
      graph.nodes("Split", [x, ints(sizes)], outputs(sizes.length), { attributes: { axis: { i: -1 } } }),
    blockSums: (x, columns, blockSize) =>
      once(`sums/${x}/${blockSize}`, () => reduce("ReduceSum", inBlocks(x, columns, blockSize), false)),
    splitRounding: (x, columns, blockSize) => {
      const blocks = inBlocks(x, columns, blockSize)
      const greatest = reduce("ReduceMax", graph.node("Abs", [blocks]), true)
      // a block of zeros has no step
      const step = graph.node("Max", [graph.node("Div", [greatest, scalar(127)]), scalar(1e-30)])
      const whole = graph.node("Mul", [graph.node("Round", [graph.node("Div", [blocks, step])]), step])
      const both = [whole, graph.node("Sub", [blocks, whole])]
      return reshape(graph.node("Concat", both, { attributes: { axis: { i: 0 } } }), [-1, columns])
    },
    addHalves: (x, columns) => {
      const halves = graph.nodes("Split", [x], outputs(2), { attributes: { axis: { i: 0 }, num_outputs: { i: 2 } } })
      const sum = graph.node("Add", halves)
      return rank === 2 ? sum : reshape(sum, [...rows, columns])
    }
  }
}
