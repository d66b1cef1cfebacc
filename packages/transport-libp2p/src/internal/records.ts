/**
 * What the hash table stores: signed announcements, each under its peer's id.
 * @module
 */
import type { KadDHTInit } from "@libp2p/kad-dht"
import { CLOCK_SKEW_SECONDS } from "@swarm/identity"
import { decodeRecord, RecordError } from "@swarm/protocol"

const PREFIX = "/swarm/"

/** Seconds that a record may live in the table, whatever it says. */
const MAX_TIME_TO_LIVE = 600

export const keyOf = (peer: string): Uint8Array => new TextEncoder().encode(`${PREFIX}${peer}`)

/** What was refused since the start, by reason. */
type Counts = Record<"oversized" | "malformed" | "forged" | "future" | "expired" | "identity", number>

export const noCounts = (): Counts => ({ oversized: 0, malformed: 0, forged: 0, future: 0, expired: 0, identity: 0 })

/** Why this node does not take a record under a key; undefined: it does. The rule of every honest node. */
const refusal = (key: Uint8Array, value: Uint8Array): keyof Counts | undefined => {
  try {
    const { announcement, issuedAt } = decodeRecord(value)
    const [now, saidAt] = [Date.now() / 1000, issuedAt / 1000]
    if (new TextDecoder().decode(key) !== `${PREFIX}${announcement.peer}`) return "identity"
    if (saidAt > now + CLOCK_SKEW_SECONDS) return "future"
    const life = Math.min(announcement.timeToLive, MAX_TIME_TO_LIVE)
    return saidAt + life + CLOCK_SKEW_SECONDS < now ? "expired" : undefined
  } catch (error) {
    return error instanceof RecordError ? error.reason : "malformed"
  }
}

const validate =
  (counts: Counts) =>
  (key: Uint8Array, value: Uint8Array): void => {
    const reason = refusal(key, value)
    if (reason === undefined) return
    counts[reason]++
    throw new RangeError(`The record is refused: ${reason}`)
  }

/** Of several records of one peer, the newest. They have been validated. */
const select = (_key: Uint8Array, records: ReadonlyArray<Uint8Array>): number => {
  const times = records.map((record) => issuedAt(record))
  return times.indexOf(Math.max(...times))
}

const issuedAt = (record: Uint8Array): number => {
  try {
    return decodeRecord(record, () => true).issuedAt
  } catch {
    return -1
  }
}

/** The rules as the hash table wants them. */
export const rules = (counts: Counts): Pick<KadDHTInit, "validators" | "selectors"> => ({
  validators: { swarm: validate(counts) },
  selectors: { swarm: select }
})
