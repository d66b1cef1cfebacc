/**
 * What can be wrong with files and texts that hold keys.
 * @module
 */

/** An identity file cannot be used. *Never*: the message says what to do. */
export class IdentityError extends Error {
  readonly _tag = "IdentityError"
  readonly path: string

  constructor(path: string, detail: string) {
    super(`Cannot use the identity in "${path}": ${detail}`)
    this.name = "IdentityError"
    this.path = path
  }
}

/** A text is no invite, or not one for this. *Never*. */
export class InviteError extends Error {
  readonly _tag = "InviteError"

  constructor(detail: string) {
    super(`Cannot use the invite: ${detail}`)
    this.name = "InviteError"
  }
}
