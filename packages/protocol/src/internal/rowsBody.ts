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
import { MAX_STRING, MAX_TOKENS } from "../Limits.ts"
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

/** The fields of any of the kinds. */
export type RowsBody = Rows & Partial<Pick<Step, "want">>
/** The same before they are checked. */
type Unchecked = { readonly [K in keyof RowsBody]?: unknown }

const isU32 = (value: unknown): value is number => typeof value === "number" && value >>> 0 === value

/** Whether every field is of its type and range. What is wrong otherwise, `checkBody` says. */
export const isSoundRows = (kind: RowsKind, body: Unchecked): body is RowsBody => {
  const { session, epoch, position, tokens, codec, want } = body
  return (
    typeof session === "string" &&
    session.length > 0 &&
    session.length <= MAX_STRING &&
    isU32(epoch) &&
    isU32(position) &&
    isU32(tokens) &&
    tokens > 0 &&
    position + tokens <= MAX_TOKENS &&
    CODECS.some((name) => name === codec) &&
    (kind === "step" ? want === "all" || want === "last" : want === undefined)
  )
}

/** Bytes that a sound body takes. */
export const sizeOfRows = ({ session }: RowsBody): number => FIXED + Buffer.byteLength(session)

/** Writes a sound body of `bytes` bytes at `at`. */
export const writeRows = (body: RowsBody, view: DataView, at: number, bytes: number): void => {
  const { session } = body
  const named = bytes - FIXED
  view.setUint32(at, body.epoch, true)
  view.setUint32(at + 4, body.position, true)
  view.setUint32(at + 8, body.tokens, true)
  view.setUint8(at + 12, CODECS.indexOf(body.codec))
  view.setUint8(at + 13, body.want === "last" ? 1 : 0)
  view.setUint16(at + 14, named, true)
  if (named > session.length) Buffer.from(view.buffer, view.byteOffset + at + FIXED, named).write(session, "utf8")
  else for (let i = 0; i < named; i++) view.setUint8(at + FIXED + i, session.charCodeAt(i))
}

/**
 * The fields of a body of `bytes` bytes at `at`, not yet checked for their types and ranges.
 * @throws ProtocolError `body`
 */
export const readRows = (kind: RowsKind, view: DataView, at: number, bytes: number): Unchecked => {
  const named = bytes < FIXED ? -1 : view.getUint16(at + 14, true)
  if (bytes !== FIXED + named) throw new ProtocolError("body", `${bytes} bytes are not a body of rows`)
  const session = Buffer.from(view.buffer, view.byteOffset + at + FIXED, named).toString("utf8")
  const epoch = view.getUint32(at, true)
  const position = view.getUint32(at + 4, true)
  const tokens = view.getUint32(at + 8, true)
  const codec = CODECS[view.getUint8(at + 12)]
  const want = WANTS[view.getUint8(at + 13)]
  return kind === "step"
    ? { session, epoch, position, tokens, codec, want }
    : { session, epoch, position, tokens, codec }
}
