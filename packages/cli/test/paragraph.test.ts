import { stripVTControlCharacters } from "node:util"
import * as FastCheck from "effect/FastCheck"
import { assert, describe, it } from "vitest"
import { paragraph } from "../src/paragraph.ts"

/** What comes out when `pieces` go in one by one. */
const write = (pieces: ReadonlyArray<string>): string => {
  let out = ""
  const text = paragraph((piece) => {
    out += piece
  })
  for (const piece of pieces) text.push(piece)
  text.end()
  return out
}

const words = (text: string) => text.split(/\s+/).filter((word) => word !== "")

describe("paragraph", () => {
  it("puts words that come in pieces together", () => {
    assert.strictEqual(write(["On", "ce", " upon", " a ", "time", "."]), "   Once upon a time.\n")
  })

  it("keeps every word, within the width, however the text is cut", () => {
    const pieces = FastCheck.array(FastCheck.stringMatching(/^[a-z]{0,8}[ \n]?[a-z]{0,8}$/), { maxLength: 80 })
    FastCheck.assert(
      FastCheck.property(pieces, (parts) => {
        const out = write(parts)
        assert.deepStrictEqual(words(out), words(parts.join("")))
        assert.strictEqual(out, write([parts.join("")]))
        for (const line of out.split("\n"))
          assert.isTrue(
            line === "" || (line.startsWith("   ") && (line.length <= 79 || words(line).length === 1)),
            line
          )
      })
    )
  })

  it("gives escape sequences no room", () => {
    const plain = Array.from({ length: 40 }, (_, i) => `word${i}`)
    const styled = plain.map((word) => `\u001b[31m${word}\u001b[0m`)
    assert.strictEqual(stripVTControlCharacters(write([styled.join(" ")])), write([plain.join(" ")]))
  })

  it("breaks the line for an aside, and begins a new one after it", () => {
    let out = ""
    const text = paragraph((piece) => {
      out += piece
    })
    out += text.aside("first")
    text.push("one two ")
    out += text.aside("an aside")
    text.push("three ")
    text.end()
    assert.strictEqual(out, "first\n   one two\nan aside\n   three\n")
  })
})
