/**
 * AllReduce of the greatest values only, with error feedback.
 * @module
 */
import { addTopK, encodeTopK, type TopK, topKBytes } from "@swarm/quant"
import type { Communicator } from "./Communicator.ts"

export { type TopK, topK } from "@swarm/quant"

/**
 * Sums over all ranks the k greatest of each rank's `x + residual`, and keeps the rest in the residual; in place, `x`
 * becomes the sum. One round, 8k bytes to each other rank; all ranks end with the same bits.
 *
 * What is lost, and for which quantities that is right, `encodeTopK` of `@swarm/quant` says: in inference use `allReduce`
 * with a codec instead. Rejects with `RankLost`.
 */
export const allReduceTopK = (group: Communicator, x: Float32Array, state: TopK): Promise<Float32Array> => {
  const { k, residual } = state
  if (x.length !== residual.length)
    throw new RangeError(`Cannot sum ${x.length} values with a state of ${residual.length}`)
  return group.exclusive(async () => {
    const payload = new Uint8Array(topKBytes(k))
    encodeTopK(state, x, payload)
    group.step()
    const others = Array.from({ length: group.size }, (_, rank) => rank).filter((rank) => rank !== group.rank)
    const sent = Promise.allSettled(others.map((rank) => group.send(rank, 0, payload)))
    const payloads: Array<Uint8Array> = []
    for (let rank = 0; rank < group.size; rank++) {
      payloads.push(rank === group.rank ? payload : (await group.receive(rank)).payload)
    }
    for (const result of await sent) if (result.status === "rejected") throw result.reason
    x.fill(0)
    payloads.forEach((bytes, rank) => {
      if (bytes.length !== payload.length) throw group.fault(rank, "desync")
      try {
        addTopK(bytes, x)
      } catch {
        throw group.fault(rank, "desync")
      }
    })
    return x
  })
}
