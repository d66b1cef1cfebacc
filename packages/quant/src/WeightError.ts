/**
 * The error for weights that no format can hold.
 * @module
 */

/** Where in a matrix the bad value stands. */
export interface WeightErrorFields {
  /** Row (output feature). */
  readonly row: number
  /** First column (input feature) of the block concerned. */
  readonly column: number
  /** What is wrong, with the value that shows it. */
  readonly detail: string
}

/**
 * A weight, a scale or an offset is NaN or infinite. *Never*: the data is damaged or was overflowed by its maker; get
 * the file anew. Whoever knows the file and the tensor says so around this.
 */
export class WeightError extends Error {
  readonly _tag = "WeightError"
  readonly row: number
  readonly column: number
  readonly detail: string

  constructor(fields: WeightErrorFields) {
    super(`Bad weights in row ${fields.row} from column ${fields.column}: ${fields.detail}`)
    this.name = "WeightError"
    this.row = fields.row
    this.column = fields.column
    this.detail = fields.detail
  }
}
