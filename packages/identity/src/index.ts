/**
 * Who a peer is and what it may do: keys, peer ids, invites.
 * @module
 */
export * from "./Identity.ts"
export * from "./IdentityError.ts"
export * from "./Invite.ts"
export * from "./identityFile.ts"
export * from "./Membership.ts"
export * from "./peerId.ts"
export * from "./Revocations.ts"
