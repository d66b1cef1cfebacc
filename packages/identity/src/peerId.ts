/**
 * Peer ids: a public key as text, in libp2p's form, so that one name serves all carriers.
 * @see https://github.com/libp2p/specs/blob/master/peer-ids/peer-ids.md
 * @module
 */
import { fromBase58, toBase58 } from "./internal/base58.ts"
import { KEY_BYTES } from "./internal/keys.ts"

/** Identity multihash (0x00) of 36 bytes: a protobuf of key type 1 (Ed25519) and 32 bytes of key. */
const PREFIX = Uint8Array.of(0x00, 0x24, 0x08, 0x01, 0x12, 0x20)

/**
 * The id of the peer that holds the key: 52 characters, `12D3KooW…`.
 * @throws RangeError if `publicKey` is not of 32 bytes
 */
export const peerIdOf = (publicKey: Uint8Array): string => {
  if (publicKey.length !== KEY_BYTES)
    throw new RangeError(`A public key has ${KEY_BYTES} bytes, not ${publicKey.length}`)
  return toBase58(Uint8Array.from([...PREFIX, ...publicKey]))
}

/** The public key in a peer id, fresh; undefined if `peer` is no peer id of an Ed25519 key. */
export const publicKeyIn = (peer: string): Uint8Array | undefined => {
  const bytes = fromBase58(peer, PREFIX.length + KEY_BYTES)
  return bytes !== undefined && PREFIX.every((byte, i) => bytes[i] === byte) ? bytes.slice(PREFIX.length) : undefined
}
