/**
 * Who this process is, and in which private swarm: `--identity`, `--invite`, and the user's config folder.
 * @module
 */
import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"
import { homedir, hostname } from "node:os"
import { join } from "node:path"
import { peersFile } from "@swarm/discovery"
import {
  type Identity,
  IdentityError,
  InviteError,
  identityPath,
  loadIdentity,
  type Membership,
  makeIdentity,
  makeMembership
} from "@swarm/identity"
import * as Effect from "effect/Effect"

export interface MemberValues {
  readonly identity?: string | undefined
  readonly invite?: string | undefined
}

/** A peer's identity, and its membership if the swarm is private. */
export interface Member {
  readonly identity: Identity
  readonly membership: Membership | undefined
}

const attempt = <A>(run: () => A): Effect.Effect<A, IdentityError | InviteError> =>
  Effect.suspend((): Effect.Effect<A, IdentityError | InviteError> => {
    try {
      return Effect.succeed(run())
    } catch (cause) {
      if (cause instanceof IdentityError || cause instanceof InviteError) return Effect.fail(cause)
      return Effect.die(cause)
    }
  })

/** A client's: a new identity each time, unless one is given. Nobody needs to know it again. */
export const clientMember = (values: MemberValues): Effect.Effect<Member, IdentityError | InviteError> =>
  attempt(() => memberOf(values.identity === undefined ? makeIdentity() : loadIdentity(values.identity), values.invite))

/**
 * A server's: the same after a restart. One that is given (`--identity`, `SWARM_IDENTITY`) is taken as it is. That of the config folder is
 * shared by all servers of the user, so each derives its own from it, by machine and address; on port 0, where no two starts are alike, and
 * behind a relay, whose address many share, a new one is made.
 *
 * @param index Of the range that is served: each range is a peer of its own.
 */
export const serverMember = (
  values: MemberValues,
  listen: string,
  index: number
): Effect.Effect<Member, IdentityError | InviteError> =>
  attempt(() => {
    const given = values.identity ?? process.env.SWARM_IDENTITY
    const identity = (): Identity => {
      if (given !== undefined) return index === 0 ? loadIdentity(given) : loadIdentity(given).derive(`range ${index}`)
      if (/[:/]0\/?$|\/p2p-circuit$/.test(listen)) return makeIdentity()
      return loadIdentity(identityPath()).derive(`${hostname()} ${listen}`)
    }
    const member = memberOf(identity(), values.invite)
    if (member.membership?.scope === "use") throw new InviteError("it allows to use the swarm, not to serve")
    return member
  })

const memberOf = (identity: Identity, invite: string | undefined): Member => {
  const given = invite ?? process.env.SWARM_INVITE
  if (given === undefined || given === "") return { identity, membership: undefined }
  return { identity, membership: makeMembership({ invite: textOf(given), peer: identity.peer }) }
}

/** An invite as it is, or in a file. */
const textOf = (given: string): string => {
  if (given.trim().startsWith("swarm-invite-")) return given
  try {
    return readFileSync(given, "utf8")
  } catch (cause) {
    throw new InviteError(cause instanceof Error ? cause.message : String(cause))
  }
}

/** The peers that were met through these addresses, remembered in the user's cache folder. */
export const remembered = (join_: ReadonlyArray<string>, swarm = "") => {
  const folder = process.env.SWARM_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "swarm")
  const name = createHash("sha256")
    .update([swarm, ...join_.toSorted()].join("\n"))
    .digest("hex")
    .slice(0, 16)
  return peersFile(join(folder, "peers", `${name}.json`))
}
