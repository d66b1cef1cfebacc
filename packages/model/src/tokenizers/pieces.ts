/**
 * Tokens to bytes to text, one token at a time, so that streaming and decoding at once cannot differ.
 * @see https://github.com/huggingface/tokenizers (crate tokenizers, module decoders)
 * @module
 */
import type { TextStream } from "../Tokenizer.ts"
import { TokenizerError } from "../TokenizerError.ts"
import { isJson, type Json } from "./layout.ts"

/** How the tokens of one vocabulary are spelled. */
export interface Spelling {
  /** UTF-8 bytes of a token, fresh. `first`: nothing was emitted before it. */
  readonly bytes: (token: string, first: boolean) => Uint8Array
  /** The dummy space that encoding put in front is taken off the text again. */
  readonly stripSpace: boolean
}

/**
 * The printable characters that stand for the 256 bytes in byte-level vocabularies: bytes that print stand for
 * themselves, the others for U+0100 and up, in order.
 * @see https://github.com/openai/gpt-2/blob/master/src/encoder.py `bytes_to_unicode`
 */
const byteOfCharacter: ReadonlyMap<number, number> = (() => {
  const map = new Map<number, number>()
  let next = 0x100
  for (let byte = 0; byte < 0x100; byte++) {
    const prints = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad)
    map.set(prints ? byte : next++, byte)
  }
  return map
})()

const utf8 = new TextEncoder()

/** Byte-level BPE. Tokens with a character outside the alphabet (added ones) are plain text. */
export const byteLevel: Spelling = {
  bytes: (token) => {
    const bytes = new Uint8Array(token.length)
    for (let i = 0; i < token.length; i++) {
      const byte = byteOfCharacter.get(token.charCodeAt(i))
      if (byte === undefined) return utf8.encode(token)
      bytes[i] = byte
    }
    return bytes
  },
  stripSpace: false
}

/** SentencePiece: `mark` stands for a space, `<0x0A>` for a byte if `byteFallback`. */
export const sentencePiece = (options: {
  readonly mark: string
  readonly byteFallback: boolean
  readonly stripSpace: boolean
}): Spelling => ({
  bytes: (token) => {
    const byte = options.byteFallback ? /^<0x([0-9A-Fa-f]{2})>$/.exec(token)?.[1] : undefined
    return byte === undefined
      ? utf8.encode(token.replaceAll(options.mark, " "))
      : Uint8Array.of(Number.parseInt(byte, 16))
  },
  stripSpace: options.stripSpace
})

/** WordPiece: a token continues the word if it starts with `prefix`, else a space precedes it. */
const wordPiece = (prefix: string): Spelling => ({
  bytes: (token, first) => {
    if (first) return utf8.encode(token)
    return utf8.encode(token.startsWith(prefix) ? token.slice(prefix.length) : ` ${token}`)
  },
  stripSpace: false
})

/** Reads the decoder of a tokenizer.json. Throws `TokenizerError` for one that cannot be run token by token. */
export const readSpelling = (file: string, decoder: Json | null): Spelling => {
  const unsupported = (what: unknown): never => {
    throw new TokenizerError({ file, detail: `the decoder "${String(what)}" is not supported` })
  }
  if (decoder === null) return { bytes: (token) => utf8.encode(token), stripSpace: false }
  const steps: ReadonlyArray<unknown> =
    decoder.type === "Sequence" && Array.isArray(decoder.decoders) ? decoder.decoders : [decoder]
  const options = { mark: "\u2581", byteFallback: false, stripSpace: false }
  for (const step of steps) {
    if (!isJson(step)) return unsupported(step)
    switch (step.type) {
      case "ByteLevel":
        return steps.length === 1 ? byteLevel : unsupported("ByteLevel in a sequence")
      case "WordPiece":
        return steps.length === 1 ? wordPiece(String(step.prefix ?? "##")) : unsupported("WordPiece in a sequence")
      case "Metaspace":
        options.mark = String(step.replacement ?? options.mark)
        options.stripSpace = (step.prepend_scheme ?? "always") !== "never" && step.add_prefix_space !== false
        break
      case "Replace":
        if (!isJson(step.pattern) || typeof step.pattern.String !== "string" || step.content !== " ") {
          return unsupported("Replace")
        }
        options.mark = step.pattern.String
        break
      case "ByteFallback":
        options.byteFallback = true
        break
      case "Fuse":
        break
      case "Strip":
        if (step.content !== " " || Number(step.start ?? 0) > 1 || Number(step.stop ?? 0) > 0)
          return unsupported("Strip")
        options.stripSpace = step.start === 1
        break
      default:
        return unsupported(step.type)
    }
  }
  return sentencePiece(options)
}

/** A fresh stream. `token` is undefined for ids that show nothing. */
export const makeTextStream = (spelling: Spelling, token: (id: number) => string | undefined): TextStream => {
  // a byte order mark in the middle of a text is a character like any other
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true })
  let first = true
  return {
    push: (id) => {
      const piece = token(id)
      if (piece === undefined) return ""
      let bytes = spelling.bytes(piece, first)
      if (bytes.length === 0) return ""
      if (first && spelling.stripSpace && bytes[0] === 0x20) bytes = bytes.subarray(1)
      first = false
      return decoder.decode(bytes, { stream: true })
    },
    end: () => {
      first = true
      return decoder.decode()
    }
  }
}
