/**
 * Announcements in the hash table: who serves a model is a list of providers, what each says is a record under its id.
 * @module
 */
import { createHash } from "node:crypto"
import { setMaxListeners } from "node:events"
import { CID } from "multiformats/cid"
import { create as createDigest } from "multiformats/hashes/digest"
import type { Node } from "./node.ts"
import { keyOf } from "./records.ts"

/** Servers of one model whose records are fetched in one search. */
const MAX_PROVIDERS = 1024
/** Records that are fetched at once. */
const AT_ONCE = 8
const SEARCH_SECONDS = 10

// https://github.com/multiformats/multicodec/blob/master/table.csv
const RAW = 0x55
const SHA2_256 = 0x12

/** The name of a model in the table: a content id (version 1, raw) of the SHA-256 of its digest. */
const nameOf = (model: string): CID =>
  CID.createV1(RAW, createDigest(SHA2_256, createHash("sha256").update(`swarm model ${model}`).digest()))

/** Stores the record of this node, and that it serves the model. */
export const putRecord = async (node: Node, model: string, peer: string, record: Uint8Array): Promise<void> => {
  const signal = AbortSignal.timeout(SEARCH_SECONDS * 1000)
  for await (const _ of node.services.dht.put(keyOf(peer), record, { signal })) {
    // each event tells of one peer; the end is what counts
  }
  for await (const _ of node.services.dht.provide(nameOf(model), { signal })) {
    // likewise
  }
}

/** The records of peers that are said to serve the model, in no order. */
export const findRecords = async (node: Node, model: string): Promise<ReadonlyArray<Uint8Array>> => {
  const signal = AbortSignal.timeout(SEARCH_SECONDS * 1000)
  // many searches end with it
  setMaxListeners(0, signal)
  const peers = new Set<string>()
  for await (const event of node.services.dht.findProviders(nameOf(model), { signal })) {
    if (event.name !== "PROVIDER" && event.name !== "PEER_RESPONSE") continue
    for (const { id } of event.providers) if (peers.size < MAX_PROVIDERS) peers.add(id.toString())
  }
  const waiting = [...peers]
  const records: Array<Uint8Array> = []
  const fetch = async (): Promise<void> => {
    for (let peer = waiting.pop(); peer !== undefined; peer = waiting.pop()) {
      const record = await recordOf(node, peer, signal)
      if (record !== undefined) records.push(record)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, fetch))
  return records
}

const recordOf = async (node: Node, peer: string, signal: AbortSignal): Promise<Uint8Array | undefined> => {
  try {
    let newest: Uint8Array | undefined
    for await (const event of node.services.dht.get(keyOf(peer), { signal })) {
      if (event.name === "VALUE") newest = event.value
    }
    return newest
  } catch {
    return undefined // nobody has it, or what they have is refused
  }
}
