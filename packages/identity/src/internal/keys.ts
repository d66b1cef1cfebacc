/**
 * Raw Ed25519 keys (RFC 8032) and Node's key objects.
 * @module
 */
import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto"

/** Bytes of a seed and of a public key. */
export const KEY_BYTES = 32

// DER of RFC 8410: everything before the 32 raw bytes
const PKCS8 = Buffer.from("302e020100300506032b657004220420", "hex")
const SPKI = Buffer.from("302a300506032b6570032100", "hex")

export const privateKeyOf = (seed: Uint8Array): KeyObject =>
  createPrivateKey({ key: Buffer.concat([PKCS8, seed]), format: "der", type: "pkcs8" })

export const publicKeyOf = (raw: Uint8Array): KeyObject =>
  createPublicKey({ key: Buffer.concat([SPKI, raw]), format: "der", type: "spki" })

/** The seed in a private key. Throws if it is not one of Ed25519. */
export const seedOf = (key: KeyObject): Uint8Array => {
  const der = key.asymmetricKeyType === "ed25519" ? key.export({ format: "der", type: "pkcs8" }) : Buffer.alloc(0)
  if (der.length !== PKCS8.length + KEY_BYTES) throw new TypeError("The key is not one of Ed25519")
  return new Uint8Array(der.subarray(PKCS8.length))
}

export const rawPublicKey = (key: KeyObject): Uint8Array =>
  new Uint8Array(createPublicKey(key).export({ format: "der", type: "spki" }).subarray(SPKI.length))
