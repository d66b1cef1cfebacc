/**
 * Signed announcements. The bytes are passed on as they came: whoever holds them can check them, and nobody can change them.
 *
 * | offset | bytes | field |
 * | --- | --- | --- |
 * | 0 | 1 | version of this layout, 1 |
 * | 1 | 64 | Ed25519 signature by the key in `peer`, purpose "announcement", over all that follows |
 * | 65 | | a MessagePack map: the announcement, `issuedAt`, in a private swarm `credential` |
 *
 * @module
 */
import { CREDENTIAL_BYTES, type Identity, isSigned, SIGNATURE_BYTES } from "@swarm/identity"
import { readAnnouncement } from "./internal/bodies.ts"
import * as Field from "./internal/fields.ts"
import { pack, unpack } from "./internal/msgpack.ts"
import { MAX_RECORD } from "./Limits.ts"
import type { Announcement } from "./Message.ts"
import { ProtocolError } from "./ProtocolError.ts"

/** An announcement, found to be the peer's own. */
export interface SignedAnnouncement {
  readonly announcement: Announcement
  /** Milliseconds since 1970 by the clock of the peer; greater in each that it makes. */
  readonly issuedAt: number
  readonly credential?: Uint8Array
}

/**
 * Why bytes are no announcement of anybody.
 * - `oversized`: more than {@link MAX_RECORD}
 * - `malformed`: another layout, or a field is missing, of a wrong type or out of range
 * - `forged`: not signed by the peer that it names
 */
export type RecordReason = "oversized" | "malformed" | "forged"

/** A received record cannot be used. *Never*. */
export class RecordError extends Error {
  readonly _tag = "RecordError"
  readonly reason: RecordReason

  constructor(reason: RecordReason, detail: string) {
    super(`Cannot use the announcement (${reason}): ${detail}`)
    this.name = "RecordError"
    this.reason = reason
  }
}

const VERSION = 1
const BODY_AT = 1 + SIGNATURE_BYTES
const PURPOSE = "announcement"

/**
 * Signs an announcement; 50 µs, bytes fresh. One that names another peer than the signer is refused by everybody.
 *
 * @param issuedAt Milliseconds since 1970.
 * @throws RangeError if it is longer than {@link MAX_RECORD}
 */
export const encodeRecord = (
  announcement: Announcement,
  issuedAt: number,
  signer: Identity,
  credential?: Uint8Array
): Uint8Array => {
  const body = pack({ ...announcement, issuedAt, ...(credential === undefined ? {} : { credential }) })
  const bytes = BODY_AT + body.length
  if (bytes > MAX_RECORD) throw new RangeError(`An announcement has at most ${MAX_RECORD} bytes, not ${bytes}`)
  const record = new Uint8Array(bytes)
  record[0] = VERSION
  record.set(signer.sign(PURPOSE, body), 1)
  record.set(body, BODY_AT)
  return record
}

/**
 * Reads a record and checks its signature, about 0.2 ms. Whether it is of today, and whether the peer may serve, is for the caller to decide.
 *
 * @param isChecked Whether these very bytes of the peer were found good before: saves the signature.
 * @throws RecordError
 */
export const decodeRecord = (
  record: Uint8Array,
  isChecked: (peer: string) => boolean = () => false
): SignedAnnouncement => {
  if (record.length > MAX_RECORD) throw new RecordError("oversized", `${record.length} bytes: at most ${MAX_RECORD}`)
  if (record.length <= BODY_AT || record[0] !== VERSION) throw new RecordError("malformed", "the layout is another")
  const body = record.subarray(BODY_AT)
  const read = readBody(body)
  const { peer } = read.announcement
  if (!isChecked(peer) && !isSigned(peer, PURPOSE, body, record.subarray(1, BODY_AT))) {
    throw new RecordError("forged", `peer "${peer}" did not sign it`)
  }
  return read
}

const readBody = (body: Uint8Array): SignedAnnouncement => {
  try {
    const f = Field.fields(unpack(body), "announcement")
    return {
      announcement: readAnnouncement(f),
      issuedAt: Field.real(f, "issuedAt", Number.MAX_SAFE_INTEGER),
      ...(Field.has(f, "credential")
        ? { credential: Field.bytes(f, "credential", CREDENTIAL_BYTES, CREDENTIAL_BYTES).slice() }
        : {})
    }
  } catch (error) {
    throw error instanceof ProtocolError ? new RecordError("malformed", error.detail) : error
  }
}
