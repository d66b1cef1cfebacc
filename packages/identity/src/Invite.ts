/**
 * Invites to a private swarm: who holds one may serve or use it, until it expires or is revoked.
 *
 * The swarm's authority is an identity whose peer id names the swarm. An invite has a key pair of its own; the authority signs its public
 * half, and the holder signs, with the private half, the id of the peer that acts. What crosses the wire is good for that peer alone: whoever
 * sees it cannot act with it.
 *
 * | offset | bytes | of a credential (little endian) |
 * | --- | --- | --- |
 * | 0 | 1 | version, 1 |
 * | 1 | 1 | scope: 1 use, 2 serve |
 * | 2 | 8 | f64: expiry, seconds since 1970 |
 * | 10 | 32 | public key of the invite |
 * | 42 | 64 | signature of the authority over all before |
 * | 106 | 64 | signature of the invite's key over the peer id |
 *
 * @module
 */
import { type Identity, identityFrom, isSigned, makeIdentity } from "./Identity.ts"
import { InviteError } from "./IdentityError.ts"
import { KEY_BYTES } from "./internal/keys.ts"
import { peerIdOf, publicKeyIn } from "./peerId.ts"

/** What a member may do. Who may serve may also use. */
export type Scope = "use" | "serve"

/** A credential, read and checked for its form only. */
export interface Grant {
  /** Name of the invite, for revoking: 16 hexadecimal digits of its public key. */
  readonly id: string
  readonly scope: Scope
  /** Seconds since 1970; `Infinity`: never. */
  readonly expiresAt: number
}

/** An invite, read. */
export interface Invite extends Grant {
  /** The swarm: peer id of its authority. */
  readonly swarm: string
  /** What `peer` shows to others to be let in. 170 bytes, fresh. */
  readonly credentialFor: (peer: string) => Uint8Array
}

/** Bytes of a credential. */
export const CREDENTIAL_BYTES = 170

const VERSION = 1
const TERMS_BYTES = 42
const GRANT_BYTES = 106
const ID_BYTES = 8
const MARK = "swarm-invite-"
const SCOPES: ReadonlyArray<Scope | undefined> = [undefined, "use", "serve"]

/**
 * Makes an invite: a text of one line. It is a secret: whoever has it is a member.
 *
 * @param authority The identity that names the swarm.
 * @param expiresAt Seconds since 1970; `Infinity`: never.
 *
 * @example
 * ```ts
 * import { makeIdentity, makeInvite, readInvite } from "@swarm/identity"
 *
 * const authority = makeIdentity()
 * const invite = readInvite(makeInvite(authority, "use", Date.now() / 1000 + 86_400))
 * console.log(invite.scope, invite.swarm === authority.peer) // => use true
 * ```
 */
export const makeInvite = (authority: Identity, scope: Scope, expiresAt: number): string => {
  const own = makeIdentity()
  const grant = new Uint8Array(GRANT_BYTES)
  const view = new DataView(grant.buffer)
  view.setUint8(0, VERSION)
  view.setUint8(1, SCOPES.indexOf(scope))
  view.setFloat64(2, expiresAt, true)
  grant.set(keyOf(own.peer), 10)
  grant.set(authority.sign("invite", grant.subarray(0, TERMS_BYTES)), TERMS_BYTES)
  return MARK + Buffer.concat([keyOf(authority.peer), grant, own.seed()]).toString("base64url")
}

/**
 * Reads an invite.
 * @throws InviteError if the text is none, or was changed
 */
export const readInvite = (text: string): Invite => {
  const trimmed = text.trim()
  const bytes = Uint8Array.from(Buffer.from(trimmed.slice(MARK.length), "base64url"))
  if (!trimmed.startsWith(MARK) || bytes.length !== 2 * KEY_BYTES + GRANT_BYTES) {
    throw new InviteError(`it is no text of the form ${MARK}…`)
  }
  const swarm = peerIdOf(bytes.subarray(0, KEY_BYTES))
  const grant = bytes.slice(KEY_BYTES, KEY_BYTES + GRANT_BYTES)
  const own = identityFrom(bytes.subarray(KEY_BYTES + GRANT_BYTES))
  const terms = termsOf(grant)
  if (terms === undefined || !isGranted(swarm, grant) || own.peer !== peerIdOf(grant.subarray(10, TERMS_BYTES))) {
    throw new InviteError("it was damaged or forged")
  }
  return {
    ...terms,
    swarm,
    credentialFor: (peer) =>
      Uint8Array.from(Buffer.concat([grant, own.sign("credential", new TextEncoder().encode(peer))]))
  }
}

/** What is granted to `peer` by a credential of `swarm`; undefined if it is forged, malformed or another peer's. Times are not checked. */
export const readCredential = (swarm: string, peer: string, credential: Uint8Array): Grant | undefined => {
  if (credential.length !== CREDENTIAL_BYTES) return undefined
  const terms = termsOf(credential)
  if (terms === undefined || !isGranted(swarm, credential)) return undefined
  const holder = peerIdOf(credential.subarray(10, TERMS_BYTES))
  const delegated = isSigned(holder, "credential", new TextEncoder().encode(peer), credential.subarray(GRANT_BYTES))
  return delegated ? terms : undefined
}

const termsOf = (grant: Uint8Array): Grant | undefined => {
  const view = new DataView(grant.buffer, grant.byteOffset, grant.byteLength)
  const scope = SCOPES[view.getUint8(1)]
  const expiresAt = view.getFloat64(2, true)
  if (view.getUint8(0) !== VERSION || scope === undefined || !(expiresAt >= 0)) return undefined
  return { id: Buffer.from(grant.subarray(10, 10 + ID_BYTES)).toString("hex"), scope, expiresAt }
}

const isGranted = (swarm: string, grant: Uint8Array): boolean =>
  isSigned(swarm, "invite", grant.subarray(0, TERMS_BYTES), grant.subarray(TERMS_BYTES, GRANT_BYTES))

const keyOf = (peer: string): Uint8Array => {
  const key = publicKeyIn(peer)
  if (key === undefined) throw new RangeError(`"${peer}" is no peer id`)
  return key
}
