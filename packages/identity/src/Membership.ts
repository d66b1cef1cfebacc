/**
 * A peer's membership in a private swarm: what it shows, and whom it lets in.
 * @module
 */

import { InviteError } from "./IdentityError.ts"
import { readCredential, readInvite, type Scope } from "./Invite.ts"
import { readRevocations } from "./Revocations.ts"

/** Clocks of two machines may differ by so many seconds. */
export const CLOCK_SKEW_SECONDS = 300

/** @see makeMembership */
export interface Membership {
  /** Name of the swarm: peer id of its authority. */
  readonly swarm: string
  readonly scope: Scope
  /** What this peer shows to others. Borrowed: do not change it. */
  readonly credential: Uint8Array
  /**
   * Why `peer` may not do what `scope` names, for people; undefined: it may. Checks signatures: about 0.3 ms for a credential that was not
   * seen before.
   */
  readonly refusal: (peer: string, credential: Uint8Array | undefined, scope: Scope) => string | undefined
  /** The newest list of revoked invites that is known; undefined: none is. */
  readonly revocations: () => Uint8Array | undefined
  /** Takes a received list if the authority signed it and it is newer than the known one. */
  readonly adopt: (list: Uint8Array) => boolean
}

export interface MembershipOptions {
  readonly invite: string
  /** The peer that acts with it. */
  readonly peer: string
  /** Seconds since 1970. @default {() => Date.now() / 1000} */
  readonly now?: () => number
}

/** Credentials that were found good, kept to save the signatures; the oldest go first. */
const MAX_CHECKED = 4096

/**
 * Membership by an invite. Everybody in the swarm has one; who has none, or one of another swarm, is refused.
 * @throws InviteError if the text is no invite, or it has expired
 */
export const makeMembership = ({
  invite: text,
  peer: self,
  now = () => Date.now() / 1000
}: MembershipOptions): Membership => {
  const invite = readInvite(text)
  const { swarm } = invite
  if (invite.expiresAt + CLOCK_SKEW_SECONDS < now()) {
    throw new InviteError(`it expired on ${new Date(invite.expiresAt * 1000).toISOString()}: ask for a new one`)
  }
  const checked = new Map<string, ReturnType<typeof readCredential>>()
  let list: Uint8Array | undefined
  let serial = Number.NEGATIVE_INFINITY
  let revoked: ReadonlySet<string> = new Set()

  const read = (peer: string, credential: Uint8Array): ReturnType<typeof readCredential> => {
    const key = `${peer} ${Buffer.from(credential).toString("latin1")}`
    const known = checked.get(key)
    if (known !== undefined) return known
    const grant = readCredential(swarm, peer, credential)
    if (grant === undefined) return undefined
    const [oldest] = checked.keys()
    if (checked.size >= MAX_CHECKED && oldest !== undefined) checked.delete(oldest)
    checked.set(key, grant)
    return grant
  }

  return {
    swarm,
    scope: invite.scope,
    credential: invite.credentialFor(self),
    refusal: (peer, credential, scope) => {
      if (credential === undefined) return "this swarm is private: an invite is needed"
      const grant = read(peer, credential)
      if (grant === undefined) return "the invite is of another swarm, or forged"
      if (revoked.has(grant.id)) return `the invite ${grant.id} was revoked`
      if (grant.expiresAt + CLOCK_SKEW_SECONDS < now()) return `the invite ${grant.id} has expired`
      if (scope === "serve" && grant.scope !== "serve")
        return `the invite ${grant.id} allows to use the swarm, not to serve`
      return undefined
    },
    revocations: () => list,
    adopt: (received) => {
      const found = readRevocations(swarm, received)
      if (found === undefined || !(found.serial > serial)) return false
      list = received.slice()
      serial = found.serial
      revoked = found.ids
      return true
    }
  }
}
