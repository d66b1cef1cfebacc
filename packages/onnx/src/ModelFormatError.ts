/**
 * The error of readers of models.
 * @module
 */

/**
 * Bytes are not the model that they should be. *Never*: they will not become one.
 */
export class ModelFormatError extends Error {
  readonly _tag = "ModelFormatError"
  /** The initializer concerned, if it is one. */
  readonly tensor: string | undefined
  readonly detail: string

  constructor(fields: { readonly tensor?: string | undefined; readonly detail: string; readonly cause?: unknown }) {
    const tensor = fields.tensor === undefined ? "" : `initializer "${fields.tensor}": `
    super(`Cannot read the model: ${tensor}${fields.detail}`, { cause: fields.cause })
    this.name = "ModelFormatError"
    this.tensor = fields.tensor
    this.detail = fields.detail
  }
}
