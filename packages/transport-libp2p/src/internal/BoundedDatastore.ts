/**
 * What a node keeps for the hash table and of other peers, in bounded memory.
 * @module
 */
import { MemoryDatastore } from "datastore-core"
import { Key } from "interface-datastore"

/** Entries of one kind: records, providers, peers. */
export const MAX_ENTRIES = 8192
/** Models that one peer can be listed for; honest ones serve one. */
export const MAX_MODELS = 8
/** Names are `/dht/record/KEY`, `/dht/provider/MODEL/PEER`, `/peers/ID` (kad-dht, peer-store). */
const KIND = /^\/(?:dht\/)?[^/]+/
const PROVIDER = /^\/dht\/provider\/[^/]+\/([^/]+)$/

/** Of a kind that has grown too large, and of a peer that provides too much, what was put first goes. */
export class BoundedDatastore extends MemoryDatastore {
  readonly #kinds = new Map<string, Set<string>>()
  readonly #models = new Map<string, Set<string>>()

  override put(key: Key, value: Uint8Array): Key {
    const name = key.toString()
    const provider = PROVIDER.exec(name)?.[1]
    super.put(key, value)
    this.#bound(this.#kinds, KIND.exec(name)?.[0] ?? "", name, MAX_ENTRIES)
    if (provider !== undefined) this.#bound(this.#models, provider, name, MAX_MODELS)
    return key
  }

  override delete(key: Key): void {
    this.#drop(key.toString())
  }

  /** Notes the name as the last of its group, and drops the first of a group that is too large. */
  #bound(groups: Map<string, Set<string>>, group: string, name: string, most: number): void {
    const names = groups.get(group) ?? new Set()
    groups.set(group, names)
    names.delete(name)
    names.add(name)
    if (names.size <= most) return
    for (const first of names) {
      this.#drop(first)
      return
    }
  }

  #drop(name: string): void {
    super.delete(new Key(name, false))
    const provider = PROVIDER.exec(name)?.[1]
    for (const [groups, group] of [
      [this.#kinds, KIND.exec(name)?.[0] ?? ""],
      [this.#models, provider]
    ] as const) {
      if (group === undefined) continue
      const names = groups.get(group)
      names?.delete(name)
      if (names?.size === 0) groups.delete(group)
    }
  }
}
