/**
 * How ONNX Runtime tells of prepared weights in an initializer's external data: "key|offset;length;checksum|...", a
 * piece for each blob.
 * @module
 */

/** Where one blob lies. */
export interface Blob {
  readonly offset: number
  readonly length: number
}

/** The blobs of an entry, in order. */
export const blobsOf = (entry: string): ReadonlyArray<Blob> =>
  pieces(entry).blobs.map((blob) => {
    const [offset = 0, length = 0] = blob.split(";").map(Number)
    return { offset, length }
  })

/** The entry with its blobs at other `offsets`, one for each. */
export const withOffsets = (entry: string, offsets: ReadonlyArray<number>): string => {
  const { key, blobs } = pieces(entry)
  return [key, ...blobs.map((blob, i) => [offsets[i], ...blob.split(";").slice(1)].join(";"))].join("|")
}

const pieces = (entry: string) => {
  const [key = "", ...blobs] = entry.split("|")
  return { key, blobs }
}
