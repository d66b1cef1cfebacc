/**
 * Columns of a matrix of words, one after the other.
 * @module
 */

/** Columns that are copied at a time: a line of the matrix is read whole, and the copies stay in the processor's cache. */
const TILE = 64

/**
 * words: u32 (height, width), row-major. Calls `use` for each of `columns` with a copy of it, u32 (height), which is
 * overwritten later, and its place in `columns`.
 */
export const forColumns = (
  words: Uint32Array,
  width: number,
  columns: Uint32Array,
  use: (column: Uint32Array, place: number) => void
): void => {
  const height = words.length / width
  const tile = new Uint32Array(TILE * height)
  for (let from = 0; from < columns.length; from += TILE) {
    const count = Math.min(TILE, columns.length - from)
    for (let h = 0; h < height; h++) {
      for (let c = 0; c < count; c++) tile[c * height + h] = words[h * width + columns[from + c]!]!
    }
    for (let c = 0; c < count; c++) use(tile.subarray(c * height, (c + 1) * height), from + c)
  }
}
