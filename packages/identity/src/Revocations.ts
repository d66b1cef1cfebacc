/**
 * The list of invites that a swarm's authority took back. Lists grow and replace each other by serial number.
 *
 * | offset | bytes | field (little endian) |
 * | --- | --- | --- |
 * | 0 | 1 | version, 1 |
 * | 1 | 8 | f64: serial number |
 * | 9 | 8n | ids of invites |
 * | | 64 | signature of the authority over all before |
 *
 * @module
 */
import { type Identity, isSigned, SIGNATURE_BYTES } from "./Identity.ts"

/** A list, read and found to be the authority's. */
export interface Revocations {
  readonly serial: number
  /** Ids of invites. */
  readonly ids: ReadonlySet<string>
}

/** Ids in one list. */
export const MAX_REVOKED = 4096

const VERSION = 1
const HEAD_BYTES = 9
const ID_BYTES = 8

/** Bytes that a list may have. */
export const MAX_REVOCATIONS_BYTES = HEAD_BYTES + MAX_REVOKED * ID_BYTES + SIGNATURE_BYTES

/**
 * A list as bytes, fresh.
 * @param serial Greater than that of every list before, such as the time in milliseconds.
 * @throws RangeError for an id that is not of 16 hexadecimal digits, or more than {@link MAX_REVOKED}
 */
export const signRevocations = (authority: Identity, ids: Iterable<string>, serial: number): Uint8Array => {
  const all = [...new Set(ids)]
  const wrong = all.find((id) => !/^[0-9a-f]{16}$/.test(id))
  if (wrong !== undefined) throw new RangeError(`"${wrong}" is no id of an invite: those have 16 hexadecimal digits`)
  if (all.length > MAX_REVOKED) throw new RangeError(`A list holds ${MAX_REVOKED} invites, not ${all.length}`)
  const head = new Uint8Array(HEAD_BYTES)
  head[0] = VERSION
  new DataView(head.buffer).setFloat64(1, serial, true)
  const body = Buffer.concat([head, ...all.map((id) => Buffer.from(id, "hex"))])
  return Uint8Array.from(Buffer.concat([body, authority.sign("revocations", body)]))
}

/** Reads a list; undefined if it is malformed or not signed by the authority of `swarm`. */
export const readRevocations = (swarm: string, list: Uint8Array): Revocations | undefined => {
  const bodyBytes = list.length - SIGNATURE_BYTES
  if (list[0] !== VERSION || list.length > MAX_REVOCATIONS_BYTES) return undefined
  if (bodyBytes < HEAD_BYTES || (bodyBytes - HEAD_BYTES) % ID_BYTES !== 0) return undefined
  const body = list.subarray(0, bodyBytes)
  if (!isSigned(swarm, "revocations", body, list.subarray(bodyBytes))) return undefined
  const ids = new Set<string>()
  for (let at = HEAD_BYTES; at < bodyBytes; at += ID_BYTES) {
    ids.add(Buffer.from(body.subarray(at, at + ID_BYTES)).toString("hex"))
  }
  return { serial: new DataView(list.buffer, list.byteOffset).getFloat64(1, true), ids }
}
