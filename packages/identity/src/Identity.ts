/**
 * A peer's key pair, and what others can check of it.
 * @module
 */
import { hkdfSync, randomBytes, sign, verify } from "node:crypto"
import { KEY_BYTES, privateKeyOf, publicKeyOf, rawPublicKey } from "./internal/keys.ts"
import { peerIdOf, publicKeyIn } from "./peerId.ts"

/** An Ed25519 key pair (RFC 8032). */
export interface Identity {
  /** The peer id: who holds it can check signatures, see {@link isSigned}. */
  readonly peer: string
  /**
   * Signs `bytes` for one purpose; a signature for another purpose does not hold. 64 bytes, fresh. About 50 µs.
   * @param purpose A fixed name, never something received.
   */
  readonly sign: (purpose: string, bytes: Uint8Array) => Uint8Array
  /** Another identity that only this one can make, the same for the same `label` each time. */
  readonly derive: (label: string) => Identity
  /** The 32 secret bytes, fresh: for carriers with handshakes of their own, and for the disk. */
  readonly seed: () => Uint8Array
}

/** Bytes of a signature. */
export const SIGNATURE_BYTES = 64

const message = (purpose: string, bytes: Uint8Array): Buffer =>
  Buffer.concat([Buffer.from(`swarm ${purpose}\n`), bytes])

/**
 * The identity of 32 secret bytes (copied).
 * @throws RangeError if there are not 32
 */
export const identityFrom = (seed: Uint8Array): Identity => {
  if (seed.length !== KEY_BYTES) throw new RangeError(`A seed has ${KEY_BYTES} bytes, not ${seed.length}`)
  const secret = seed.slice()
  const key = privateKeyOf(secret)
  return {
    peer: peerIdOf(rawPublicKey(key)),
    sign: (purpose, bytes) => new Uint8Array(sign(null, message(purpose, bytes), key)),
    derive: (label) => identityFrom(new Uint8Array(hkdfSync("sha256", secret, "", `swarm derive ${label}`, KEY_BYTES))),
    seed: () => secret.slice()
  }
}

/**
 * A new identity.
 *
 * @example
 * ```ts
 * import { isSigned, makeIdentity } from "@swarm/identity"
 *
 * const identity = makeIdentity()
 * const bytes = Uint8Array.of(1, 2, 3)
 * const signature = identity.sign("greeting", bytes)
 * console.log(isSigned(identity.peer, "greeting", bytes, signature)) // => true
 * console.log(isSigned(identity.peer, "farewell", bytes, signature)) // => false
 * ```
 */
export const makeIdentity = (): Identity => identityFrom(randomBytes(KEY_BYTES))

/** Whether the holder of the key in `peer` signed `bytes` for `purpose`. False for anything malformed. About 150 µs. */
export const isSigned = (peer: string, purpose: string, bytes: Uint8Array, signature: Uint8Array): boolean => {
  const raw = publicKeyIn(peer)
  if (raw === undefined || signature.length !== SIGNATURE_BYTES) return false
  try {
    return verify(null, message(purpose, bytes), publicKeyOf(raw), signature)
  } catch {
    return false // not a point of the curve
  }
}
