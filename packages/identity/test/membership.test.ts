import {
  CREDENTIAL_BYTES,
  InviteError,
  makeIdentity,
  makeInvite,
  makeMembership,
  readCredential,
  readInvite,
  readRevocations,
  type Scope,
  signRevocations
} from "@swarm/identity"
import { assert, describe, it } from "vitest"

const NOW = 1_800_000_000
const authority = makeIdentity()

/** A member and the membership by which it judges others, at a clock of the test's. */
const member = (scope: Scope, expiresAt = Number.POSITIVE_INFINITY, by = authority, clock = { now: NOW }) => {
  const { peer } = makeIdentity()
  const invite = makeInvite(by, scope, expiresAt)
  return { peer, id: readInvite(invite).id, ...makeMembership({ invite, peer, now: () => clock.now }) }
}

describe("invites", () => {
  it("are read again, and refused when a single character was changed", () => {
    const text = makeInvite(authority, "serve", NOW)
    const { swarm, scope, expiresAt } = readInvite(`  ${text}\n`)
    assert.deepStrictEqual({ swarm, scope, expiresAt }, { swarm: authority.peer, scope: "serve", expiresAt: NOW })
    for (let at = 0; at < text.length - 1; at += 7) {
      const changed = `${text.slice(0, at)}${text[at] === "A" ? "B" : "A"}${text.slice(at + 1)}`
      assert.throws(() => readInvite(changed), InviteError)
    }
    for (const none of ["", "swarm-invite-", `${text}AAAA`, text.slice(0, -4)])
      assert.throws(() => readInvite(none), InviteError)
  })

  it("cannot be used after their time, with five minutes for clocks that differ", () => {
    assert.strictEqual(member("use", NOW - 299).scope, "use")
    assert.throws(() => member("use", NOW - 301), InviteError, /expired/)
  })
})

describe("a membership", () => {
  it("lets members in by scope: who may serve may use, not the other way round", () => {
    const [judge, server, user] = [member("use"), member("serve"), member("use")]
    assert.isUndefined(judge.refusal(server.peer, server.credential, "serve"))
    assert.isUndefined(judge.refusal(server.peer, server.credential, "use"))
    assert.isUndefined(judge.refusal(user.peer, user.credential, "use"))
    assert.include(judge.refusal(user.peer, user.credential, "serve") ?? "", "not to serve")
  })

  it("refuses strangers, members of other swarms, and who shows another's credential", () => {
    const judge = member("serve")
    const other = member("serve", Number.POSITIVE_INFINITY, makeIdentity())
    assert.include(judge.refusal(makeIdentity().peer, undefined, "use") ?? "", "private")
    assert.include(judge.refusal(other.peer, other.credential, "use") ?? "", "another swarm")
    assert.isString(judge.refusal(makeIdentity().peer, judge.credential, "use"))
  })

  it("refuses a credential in which any byte was changed", () => {
    const { peer, credential } = member("serve")
    assert.strictEqual(credential.length, CREDENTIAL_BYTES)
    assert.isDefined(readCredential(authority.peer, peer, credential))
    for (let at = 0; at < credential.length; at++) {
      const changed = credential.map((byte, i) => (i === at ? byte ^ 1 : byte))
      assert.isUndefined(readCredential(authority.peer, peer, changed), `byte ${at}`)
    }
    for (const length of [0, 1, 106, 169]) {
      assert.isUndefined(readCredential(authority.peer, peer, credential.subarray(0, length)))
    }
  })

  it("refuses a credential after its time, also one that was good before", () => {
    const clock = { now: NOW }
    const judge = member("use", Number.POSITIVE_INFINITY, authority, clock)
    const guest = member("use", NOW + 60, authority, clock)
    assert.isUndefined(judge.refusal(guest.peer, guest.credential, "use"))
    clock.now = NOW + 60 + 301
    assert.include(judge.refusal(guest.peer, guest.credential, "use") ?? "", "expired")
  })

  it("refuses who was revoked, by the newest list of the authority and by no other", () => {
    const [judge, guest] = [member("serve"), member("serve")]
    const list = (serial: number, ids: ReadonlyArray<string>, by = authority) => signRevocations(by, ids, serial)
    const refused = () => judge.refusal(guest.peer, guest.credential, "use")
    assert.isFalse(judge.adopt(list(1, [guest.id], makeIdentity())))
    assert.isFalse(judge.adopt(new Uint8Array(0)))
    assert.isUndefined(refused())
    assert.isTrue(judge.adopt(list(5, [guest.id])))
    assert.include(refused() ?? "", "revoked")
    assert.isFalse(judge.adopt(list(5, [])))
    assert.isFalse(judge.adopt(list(4, [])))
    assert.include(refused() ?? "", "revoked")
    const known = judge.revocations() ?? new Uint8Array()
    assert.deepStrictEqual([...(readRevocations(authority.peer, known)?.ids ?? [])], [guest.id])
    for (let at = 0; at < known.length; at++) {
      assert.isUndefined(
        readRevocations(
          authority.peer,
          known.map((byte, i) => (i === at ? byte ^ 1 : byte))
        )
      )
    }
    assert.isTrue(judge.adopt(list(6, [])))
    assert.isUndefined(refused())
  })

  it("takes no ids that are none", () => {
    assert.throws(() => signRevocations(authority, ["xyz"], 1), RangeError)
    assert.throws(
      () =>
        signRevocations(
          authority,
          Array.from({ length: 4097 }, (_, i) => i.toString(16).padStart(16, "0")),
          1
        ),
      RangeError
    )
  })
})
