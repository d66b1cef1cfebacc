/**
 * The body of rows of activations: fixed fields, read and written without MessagePack. The token path crosses it twice a hop.
 *
 * | offset | bytes | field (little endian) |
 * | --- | --- | --- |
 * | 0 | 4 | epoch |
 * | 4 | 4 | position |
 * | 8 | 4 | tokens |
 * | 12 | 1 | codec: 0 f32, 1 f16, 2 bf16, 3 int8, 4 dynamic8, 5 int4 |
 * | 13 | 1 | want: 0 all, 1 last; 0 where the kind has none |
 * | 14 | 2 | s, bytes of the session's name |
 * | 16 | s | the session's name, UTF-8 |
 *
 * @module
 */
import type { Kind, Rows, Step, WireCodec } from "../Message.ts"
import { ProtocolError } from "../ProtocolError.ts"

const FIXED = 16
/** Numbers of the codecs. They never change meaning; new ones are appended. */
export const CODECS: ReadonlyArray<WireCodec> = ["f32", "f16", "bf16", "int8", "dynamic8", "int4"]
/** Numbers of what a step wants. */
export const WANTS: ReadonlyArray<Step["want"]> = ["all", "last"]

/** Kinds whose body is this one. */
export type RowsKind = Extract<Kind, "step" | "output" | "journal">

export const isRowsKind = (kind: Kind): kind is RowsKind => kind === "step" || kind === "output" || kind === "journal"

/** A checked body as fresh bytes. */
export const packRows = (body: Rows & Partial<Pick<Step, "want">>): Uint8Array => {
  const bytes = Buffer.allocUnsafe(FIXED + 4 * body.session.length)
  bytes.writeUInt32LE(body.epoch, 0)
  bytes.writeUInt32LE(body.position, 4)
  bytes.writeUInt32LE(body.tokens, 8)
  bytes[12] = CODECS.indexOf(body.codec)
  bytes[13] = body.want === "last" ? 1 : 0
  const written = bytes.write(body.session, FIXED, "utf8")
  bytes.writeUInt16LE(written, 14)
  return bytes.subarray(0, FIXED + written)
}

/**
 * The fields, not yet checked for their ranges.
 * @throws ProtocolError `body`
 */
export const unpackRows = (kind: RowsKind, bytes: Uint8Array): { readonly [name: string]: unknown } => {
  const { buffer, byteOffset, byteLength } = bytes
  const view = new DataView(buffer, byteOffset, byteLength)
  const named = byteLength < FIXED ? -1 : view.getUint16(14, true)
  if (byteLength !== FIXED + named) throw new ProtocolError("body", `${byteLength} bytes are not a body of rows`)
  return {
    session: Buffer.from(buffer, byteOffset + FIXED, named).toString("utf8"),
    epoch: view.getUint32(0, true),
    position: view.getUint32(4, true),
    tokens: view.getUint32(8, true),
    codec: CODECS[view.getUint8(12)],
    ...(kind === "step" ? { want: WANTS[view.getUint8(13)] } : {})
  }
}
