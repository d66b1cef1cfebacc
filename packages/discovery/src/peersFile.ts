/**
 * Peers remembered on disk: who was there last time, for when those who are given are not.
 * @module
 */
import { randomUUID } from "node:crypto"
import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs"
import { dirname } from "node:path"

/** Addresses that outlive the process. Neither function throws: this is a convenience, not a need. */
export interface PeerMemory {
  readonly load: () => ReadonlyArray<string>
  readonly save: (addresses: ReadonlyArray<string>) => void
}

const MAX_FILE = 256 * 1024
const MAX_PEERS = 256
const MAX_ADDRESS = 1024

/**
 * A JSON array of addresses in the file at `path`; made with its folder at the first `save`, replaced as a whole.
 *
 * @example
 * ```ts
 * import { mkdtempSync } from "node:fs"
 * import { tmpdir } from "node:os"
 * import { join } from "node:path"
 * import { peersFile } from "@swarm/discovery"
 *
 * const peers = peersFile(join(mkdtempSync(join(tmpdir(), "peers-")), "peers.json"))
 * peers.save(["ws://10.0.0.7:4000"])
 * console.log(peers.load()) // => [ 'ws://10.0.0.7:4000' ]
 * ```
 */
export const peersFile = (path: string): PeerMemory => ({
  load: () => {
    try {
      const content: unknown = statSync(path).size > MAX_FILE ? [] : JSON.parse(readFileSync(path, "utf8"))
      return Array.isArray(content) ? content.filter(isAddress).slice(0, MAX_PEERS) : []
    } catch {
      return []
    }
  },
  save: (addresses) => {
    try {
      mkdirSync(dirname(path), { recursive: true })
      const half = `${path}.${randomUUID()}`
      writeFileSync(half, `${JSON.stringify(addresses.slice(0, MAX_PEERS), undefined, 2)}\n`, { mode: 0o600 })
      renameSync(half, path)
    } catch {
      // a full or read-only disk must not stop the swarm
    }
  }
})

const isAddress = (value: unknown): value is string =>
  typeof value === "string" && value.length > 0 && value.length <= MAX_ADDRESS
