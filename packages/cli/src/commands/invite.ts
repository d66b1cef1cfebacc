/**
 * `swarm invite`: makes invites to a private swarm, and takes them back.
 * @module
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import {
  type Identity,
  IdentityError,
  loadIdentity,
  makeIdentity,
  makeInvite,
  makeMembership,
  readInvite,
  readRevocations,
  signRevocations
} from "@swarm/identity"
import { Network } from "@swarm/transport"
import * as Effect from "effect/Effect"
import { type Parsed, UsageError } from "../args.ts"
import { seekerLayer } from "../layers.ts"
import { makeOutput, type Output } from "../output.ts"
import type { invite } from "../specs.ts"

type Values = Parsed<typeof invite.options>["values"]

const DAY = 86_400

export const run = ({ values }: Parsed<typeof invite.options>): Effect.Effect<void, unknown> =>
  Effect.gen(function* () {
    const output = makeOutput(values.json)
    const path = values.swarm
    if (path === undefined)
      return yield* Effect.fail(new UsageError("--swarm is missing: the file with the swarm's key"))
    if (values.join.length > 0 && values.revoke.length === 0)
      return yield* Effect.fail(new UsageError("--join is for --revoke: an invite needs no server"))
    const isNew = !existsSync(path)
    if (isNew && values.revoke.length > 0) return yield* Effect.fail(new UsageError(`there is no swarm in "${path}"`))
    const authority = yield* attempt(() => loadIdentity(path))
    if (isNew) output.note(`a new swarm: whoever has "${path}" can invite to it; keep it`)
    if (values.revoke.length > 0) return yield* revoke(authority, `${path}.revoked`, values, output)
    const scope = values.scope === "serve" ? "serve" : "use"
    const expiresAt = values.days === undefined ? Number.POSITIVE_INFINITY : Date.now() / 1000 + values.days * DAY
    const text = makeInvite(authority, scope, expiresAt)
    const { id } = readInvite(text)
    const until = Number.isFinite(expiresAt) ? new Date(expiresAt * 1000).toISOString() : undefined
    output.event({ event: "invite", invite: text, id, scope, swarm: authority.peer, expires: until }, text)
    output.note(
      `invite ${id}, to ${scope}${until === undefined ? "" : `, until ${until}`}; send it as you would a password`
    )
    if (output.isJson) output.event({ event: "done" })
  })

const attempt = <A>(make: () => A): Effect.Effect<A, IdentityError | UsageError> =>
  Effect.suspend((): Effect.Effect<A, IdentityError | UsageError> => {
    try {
      return Effect.succeed(make())
    } catch (cause) {
      if (cause instanceof IdentityError) return Effect.fail(cause)
      return cause instanceof RangeError ? Effect.fail(new UsageError(cause.message)) : Effect.die(cause)
    }
  })

/** Adds to the list, which is kept beside the key, and tells the servers at `--join`, who pass it on. */
const revoke = (authority: Identity, file: string, values: Values, output: Output) =>
  Effect.gen(function* () {
    const known = existsSync(file) ? readRevocations(authority.peer, readFileSync(file)) : undefined
    if (existsSync(file) && known === undefined) {
      return yield* Effect.fail(new IdentityError(file, "it is no list of this swarm"))
    }
    const serial = Math.max(Date.now(), (known?.serial ?? 0) + 1)
    const list = yield* attempt(() => signRevocations(authority, [...(known?.ids ?? []), ...values.revoke], serial))
    writeFileSync(file, list)
    const told: Array<string> = []
    const self = makeIdentity()
    const own = makeInvite(authority, "use", Date.now() / 1000 + DAY)
    const member = { identity: self, membership: makeMembership({ invite: own, peer: self.peer }) }
    member.membership.adopt(list)
    yield* Effect.gen(function* () {
      const network = yield* Network
      for (const address of values.join) {
        // the list goes out with the handshake; the answer to a ping shows that it came
        const heard = yield* Effect.either(
          Effect.flatMap(network.connect(address), (connection) => Effect.tryPromise(() => connection.ping()))
        )
        if (heard._tag === "Right") told.push(address)
        else output.note(`cannot tell "${address}": ${heard.left.message}`)
      }
    }).pipe(Effect.provide(seekerLayer({ join: values.join, member })))
    output.event(
      { event: "revoked", ids: values.revoke, told, list: file },
      `revoked ${values.revoke.join(", ")}; ${told.length === 0 ? "nobody was told: give --join" : `told ${told.join(", ")}`}`
    )
    if (output.isJson) output.event({ event: "done" })
  })
