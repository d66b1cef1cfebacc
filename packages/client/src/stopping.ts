/**
 * Ending a generation at a text.
 * @module
 */

/** Looks for stop strings in a text that comes in pieces. */
export interface Stopper {
  /**
   * The text that can be shown now. What may be the start of a stop string is held back. Once one is complete, `stop`
   * names it, the text ends before it, and all further text is dropped. The result does not depend on how the text is cut.
   */
  readonly push: (text: string) => { readonly text: string; readonly stop: string | undefined }
  /** What was held back, when the generation ends for another reason. */
  readonly end: () => string
}

/**
 * Makes a stopper. Of several stop strings the one that is complete first ends the text. Throws `RangeError` for an
 * empty string.
 *
 * @example Stop at a blank line
 * ```ts
 * import { stopper } from "@swarm/client"
 *
 * const stops = stopper(["\n\n"])
 * stops.push("one\n") // { text: "one", stop: undefined }
 * stops.push("\ntwo") // { text: "", stop: "\n\n" }
 * ```
 */
export const stopper = (strings: ReadonlyArray<string>): Stopper => {
  if (strings.includes("")) throw new RangeError("Cannot stop at an empty string")
  let held = ""
  let stop: string | undefined
  return {
    push: (text) => {
      if (stop !== undefined) return { text: "", stop }
      const buffer = held + text
      let start = buffer.length
      let end = Infinity
      for (const string of strings) {
        const at = buffer.indexOf(string)
        if (at < 0 || at + string.length > end || (at + string.length === end && at > start)) continue
        start = at
        end = at + string.length
        stop = string
      }
      if (stop === undefined) start -= Math.max(0, ...strings.map((string) => overlap(buffer, string)))
      held = stop === undefined ? buffer.slice(start) : ""
      return { text: buffer.slice(0, start), stop }
    },
    end: () => {
      const rest = held
      held = ""
      return rest
    }
  }
}

/** Length of the longest end of `text` that is a start of `string`, but not all of it. */
const overlap = (text: string, string: string): number => {
  for (let length = Math.min(text.length, string.length - 1); length > 0; length--) {
    if (text.endsWith(string.slice(0, length))) return length
  }
  return 0
}
