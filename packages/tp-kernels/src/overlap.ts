/**
 * A row-parallel product in chunks of output columns: one chunk is summed over the ranks while the next is computed.
 * @module
 */
import type { BlockLinear } from "@swarm/quant"
import type { Communicator } from "./Communicator.ts"
import { type AllReduceAlgorithm, allReduce, type CollectiveOptions } from "./collectives.ts"
import type { Kernel } from "./runPair.ts"

/**
 * A layer as `chunks` layers along its outputs, views of its arrays where the format allows. Widths are multiples of 16
 * (kernels then give each output the same bits as in the whole layer), the last takes the rest. Throws `RangeError` if
 * there are fewer than 16 outputs per chunk.
 */
export const chunkOutputs = (linear: BlockLinear, chunks: number): ReadonlyArray<BlockLinear> => {
  const { outFeatures: N, packed, scales, zeroPoints, offsets } = linear
  const width = 16 * Math.floor(N / chunks / 16)
  if (!Number.isInteger(chunks) || chunks < 1 || width === 0)
    throw new RangeError(`Cannot cut ${N} outputs into ${chunks} chunks`)
  return Array.from({ length: chunks }, (_, at) => {
    const [from, to] = [at * width, at === chunks - 1 ? N : (at + 1) * width]
    const rows = <A extends Uint8Array | Float32Array>(array: A): A =>
      array.subarray((from * array.length) / N, (to * array.length) / N) as A
    const part = { ...linear, outFeatures: to - from, packed: rows(packed), scales: rows(scales) }
    const columns = offsets?.filter((_value, i) => i % N >= from && i % N < to)
    return {
      ...part,
      ...(zeroPoints === undefined ? {} : { zeroPoints: rows(zeroPoints) }),
      ...(columns === undefined ? {} : { offsets: columns })
    }
  })
}

/**
 * Σ over the ranks of x Wᵀ: x f32 (rows, K of the shard) -> f32 (rows, N), the chunks' sums side by side.
 *
 * Worth it where a chunk's product takes about as long as its sum: the kernel's fixed costs come once per chunk, and a
 * kernel that blocks its thread blocks the messages too, so it must run on another one. Rejects with `RankLost`.
 */
export const overlappedProduct = async (
  chunks: ReadonlyArray<BlockLinear>,
  x: Float32Array,
  rows: number,
  options: {
    readonly group: Communicator
    readonly kernel: Kernel
    readonly reduce?: CollectiveOptions<AllReduceAlgorithm>
  }
): Promise<Float32Array> => {
  const { group, kernel, reduce } = options
  const sums: Array<Promise<Float32Array>> = []
  for (const chunk of chunks) {
    const sum = allReduce(group, await kernel(chunk, x, rows), reduce)
    // A fault is reported once, below; the chunks after it fail alike.
    sum.catch(() => {})
    sums.push(sum)
  }
  const parts = await Promise.all(sums)
  const N = chunks.reduce((width, { outFeatures }) => width + outFeatures, 0)
  const y = new Float32Array(rows * N)
  let from = 0
  parts.forEach((part, at) => {
    const width = chunks[at]?.outFeatures ?? 0
    for (let row = 0; row < rows; row++) y.set(part.subarray(row * width, (row + 1) * width), row * N + from)
    from += width
  })
  return y
}
