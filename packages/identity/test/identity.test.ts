import { createPublicKey, generateKeyPairSync, sign } from "node:crypto"
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import {
  IdentityError,
  identityFrom,
  identityPath,
  isSigned,
  loadIdentity,
  makeIdentity,
  peerIdOf,
  publicKeyIn
} from "@swarm/identity"
import { afterAll, assert, describe, it } from "vitest"

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, "hex"))
const text = (value: string): Uint8Array => new TextEncoder().encode(value)

describe("peer ids", () => {
  it("are those of libp2p", () => {
    // the Ed25519 test vector of https://github.com/libp2p/specs/blob/master/peer-ids/peer-ids.md
    const key = hex("1ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e")
    assert.strictEqual(peerIdOf(key), "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq")
    assert.deepStrictEqual(publicKeyIn(peerIdOf(key)), key)
  })

  it("are read only in their one form", () => {
    const { peer } = makeIdentity()
    const others = [
      "",
      "peer",
      peer.slice(1),
      `1${peer}`,
      `${peer}1`,
      peer.replace(/.$/, "0"),
      "1".repeat(52),
      "z".repeat(5000)
    ]
    for (const other of others) assert.isUndefined(publicKeyIn(other), other.slice(0, 60))
  })
})

describe("identities", () => {
  it("have the public key that RFC 8032 gives", () => {
    // RFC 8032, section 7.1, test 1: the key pair of this seed
    const identity = identityFrom(hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"))
    assert.deepStrictEqual(
      publicKeyIn(identity.peer),
      hex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    )
  })

  it("are checked by anybody else's Ed25519, over the purpose and the bytes", () => {
    const { privateKey, publicKey } = generateKeyPairSync("ed25519")
    const raw = publicKey.export({ format: "der", type: "spki" }).subarray(-32)
    const signature = sign(null, Buffer.from("swarm greeting\nhello"), privateKey)
    assert.isTrue(isSigned(peerIdOf(raw), "greeting", text("hello"), signature))
  })

  it("do not vouch for other bytes, purposes, peers, or a changed signature", () => {
    const [a, b] = [makeIdentity(), makeIdentity()]
    const signature = a.sign("x", text("hello"))
    assert.isTrue(isSigned(a.peer, "x", text("hello"), signature))
    assert.isFalse(isSigned(a.peer, "x", text("hell0"), signature))
    assert.isFalse(isSigned(a.peer, "y", text("hello"), signature))
    assert.isFalse(isSigned(b.peer, "x", text("hello"), signature))
    assert.isFalse(isSigned("nobody", "x", text("hello"), signature))
    for (const at of [0, 31, 32, 63]) {
      assert.isFalse(
        isSigned(
          a.peer,
          "x",
          text("hello"),
          signature.map((byte, i) => (i === at ? byte ^ 1 : byte))
        )
      )
    }
    assert.isFalse(isSigned(a.peer, "x", text("hello"), signature.subarray(1)))
  })

  it("derive others, the same each time, different for each label", () => {
    const root = makeIdentity()
    assert.strictEqual(root.derive("a").peer, identityFrom(root.seed()).derive("a").peer)
    assert.strictEqual(
      new Set([root, root.derive("a"), root.derive("b"), makeIdentity().derive("a")].map((i) => i.peer)).size,
      4
    )
  })
})

describe("identity files", () => {
  const folder = mkdtempSync(join(tmpdir(), "swarm-identity-"))
  afterAll(() => rmSync(folder, { recursive: true }))

  it("are made once, for their owner alone, as a PEM that others can read", () => {
    const path = join(folder, "deep", "er", "identity.pem")
    const identity = loadIdentity(path)
    assert.strictEqual(loadIdentity(path).peer, identity.peer)
    if (process.platform !== "win32") assert.strictEqual(statSync(path).mode & 0o777, 0o600)
    const der = createPublicKey(readFileSync(path)).export({ format: "der", type: "spki" })
    assert.strictEqual(peerIdOf(der.subarray(-32)), identity.peer)
  })

  it("are refused if others may read them, and if they hold something else", () => {
    const path = join(folder, "open.pem")
    loadIdentity(path)
    chmodSync(path, 0o644)
    if (process.platform !== "win32") assert.throws(() => loadIdentity(path), IdentityError, /chmod 600/)
    for (const content of [
      "",
      "no key",
      generateKeyPairSync("x25519").privateKey.export({ format: "pem", type: "pkcs8" })
    ]) {
      const other = join(folder, `other-${content.length}.pem`)
      writeFileSync(other, content, { mode: 0o600 })
      assert.throws(() => loadIdentity(other), IdentityError, /no private key of Ed25519/)
      assert.strictEqual(readFileSync(other, "utf8"), content)
    }
    assert.throws(() => loadIdentity(join(path, "under-a-file")), IdentityError)
  })

  it("lie where SWARM_IDENTITY says, or in the config folder", () => {
    assert.strictEqual(identityPath({ SWARM_IDENTITY: "/x/y" }), "/x/y")
    assert.strictEqual(identityPath({ XDG_CONFIG_HOME: "/c" }), join("/c", "swarm", "identity.pem"))
  })
})
