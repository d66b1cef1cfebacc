/**
 * The error of every reader of files: what the bytes say cannot be.
 * @module
 */

/** Fields of a {@link FormatError}. */
export interface FormatErrorFields {
  /** The file, as it was named to the reader. */
  readonly file: string
  /** The tensor concerned, if it is one. */
  readonly tensor?: string
  /** What is wrong, with the values that show it. */
  readonly detail: string
  readonly cause?: unknown
}

/**
 * A file is missing, truncated, corrupt or of an unknown kind. *Never*: reading it again fails again; get the file anew.
 */
export class FormatError extends Error {
  readonly _tag = "FormatError"
  readonly file: string
  readonly tensor: string | undefined
  readonly detail: string

  constructor(fields: FormatErrorFields) {
    const tensor = fields.tensor === undefined ? "" : `tensor "${fields.tensor}": `
    super(`Cannot read "${fields.file}": ${tensor}${fields.detail}`, { cause: fields.cause })
    this.name = "FormatError"
    this.file = fields.file
    this.tensor = fields.tensor
    this.detail = fields.detail
  }
}
