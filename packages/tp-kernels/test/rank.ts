/**
 * One rank of a group in a thread of its own: sums its rank + 1 until another one is lost.
 * @module
 */
import { type MessagePort, workerData } from "node:worker_threads"
import { allReduce, communicator, portChannel, RankLost } from "../src/index.ts"

const { rank, ports }: { rank: number; ports: ReadonlyArray<MessagePort | undefined> } = workerData
const channel = portChannel(rank, ports)
const group = communicator(channel)
try {
  for (;;) await allReduce(group, new Float32Array(1000).fill(rank + 1), { algorithm: "ring" })
} catch (error) {
  channel.close()
  if (!(error instanceof RankLost)) throw error
}
