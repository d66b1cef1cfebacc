/**
 * Text that comes in pieces, wrapped at the width of a terminal.
 * @module
 */

const WIDTH = 76
const INDENT = "   "

export interface Paragraph {
  readonly push: (text: string) => void
  /** A line of its own between the words; gives what to write for it. */
  readonly aside: (line: string) => string
  readonly end: () => void
}

/** A word is written once it is complete, so that it can go to the next line as a whole. Escape sequences take no room. */
export const paragraph = (write: (text: string) => void): Paragraph => {
  let column = 0
  let word = ""
  const flush = () => {
    if (word === "") return
    // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with one
    const length = word.replace(/\u001b\[\d+m/g, "").length
    if (column === 0) write(INDENT)
    else if (column + 1 + length > WIDTH) {
      write(`\n${INDENT}`)
      column = 0
    } else write(" ")
    write(word)
    column += length + (column === 0 ? 0 : 1)
    word = ""
  }
  return {
    push: (text) => {
      for (const piece of text.split(/( |\n)/)) {
        if (piece === " " || piece === "\n") flush()
        else word += piece
      }
    },
    aside: (line) => {
      const before = column === 0 ? "" : "\n"
      column = 0
      return `${before}${line}\n`
    },
    end: () => {
      flush()
      if (column > 0) write("\n")
      column = 0
    }
  }
}
