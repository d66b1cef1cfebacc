/**
 * An identity on disk: a PKCS#8 PEM file that only its owner can read.
 * @module
 */
import { createPrivateKey, randomUUID } from "node:crypto"
import { linkSync, mkdirSync, readFileSync, statSync, unlinkSync, writeFileSync } from "node:fs"
import { homedir } from "node:os"
import { dirname, join } from "node:path"
import { type Identity, identityFrom, makeIdentity } from "./Identity.ts"
import { IdentityError } from "./IdentityError.ts"
import { privateKeyOf, seedOf } from "./internal/keys.ts"

/** Bytes that an identity file may have; an Ed25519 key takes 120. */
const MAX_FILE = 4096

/** `SWARM_IDENTITY`, else `swarm/identity.pem` in the user's config folder. */
export const identityPath = (env: NodeJS.ProcessEnv = process.env): string =>
  env.SWARM_IDENTITY ?? join(env.XDG_CONFIG_HOME ?? join(homedir(), ".config"), "swarm", "identity.pem")

/**
 * The identity in the file, which is made, readable by its owner only (mode 0600), if there is none. Of several processes that make it at
 * once, all get the same.
 * @throws IdentityError if it cannot be read or written, holds no Ed25519 key, or others may read it
 */
export const loadIdentity = (path: string): Identity => {
  const found = readIdentity(path)
  if (found !== undefined) return found
  const identity = makeIdentity()
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    const half = `${path}.${randomUUID()}`
    const pem = privateKeyOf(identity.seed()).export({ format: "pem", type: "pkcs8" })
    writeFileSync(half, pem, { mode: 0o600, flag: "wx" })
    try {
      linkSync(half, path) // whole or not at all, and never over another's
    } finally {
      unlinkSync(half)
    }
    return identity
  } catch (cause) {
    const made = codeOf(cause) === "EEXIST" ? readIdentity(path) : undefined
    if (made !== undefined) return made
    throw new IdentityError(path, messageOf(cause))
  }
}

/** The identity in the file; undefined if there is no file. */
const readIdentity = (path: string): Identity | undefined => {
  let pem: Buffer
  try {
    const { mode, size } = statSync(path)
    if (process.platform !== "win32" && (mode & 0o077) !== 0) {
      throw new IdentityError(path, `others may read it: run chmod 600 "${path}"`)
    }
    if (size > MAX_FILE) throw new IdentityError(path, `${size} bytes are no key`)
    pem = readFileSync(path)
  } catch (cause) {
    if (codeOf(cause) === "ENOENT") return undefined
    throw cause instanceof IdentityError ? cause : new IdentityError(path, messageOf(cause))
  }
  try {
    return identityFrom(seedOf(createPrivateKey(pem)))
  } catch {
    throw new IdentityError(path, "it holds no private key of Ed25519 in PEM")
  }
}

const codeOf = (cause: unknown): unknown =>
  typeof cause === "object" && cause !== null && "code" in cause ? cause.code : undefined

const messageOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))
