import type { ChatMessage } from "@swarm/model"
import * as FastCheck from "effect/FastCheck"
import { assert, describe, it } from "vitest"
import { fitTurns, promptLimit } from "../src/fitTurns.ts"

/** A token a character, and one for each message. */
const encode = (messages: ReadonlyArray<ChatMessage>) =>
  messages.flatMap(({ content }) => [0, ...Array.from(content, (character) => character.charCodeAt(0))])

const says = (role: string, length: number): ChatMessage => ({ role, content: "x".repeat(length) })

/** A system's message, if `opening`; then questions with answers, and a last question. */
const talk = (opening: number, turns: ReadonlyArray<number>, last: number) => [
  ...(opening === 0 ? [] : [says("system", opening)]),
  ...turns.flatMap((length) => [says("user", length), says("assistant", length)]),
  says("user", last)
]

describe("fitTurns()", () => {
  it("changes nothing while an answer has room", () => {
    const messages = talk(5, [10, 10], 10)
    const fitted = fitTurns(messages, { opening: 1, encode, context: 100, answer: 20 })
    assert.deepStrictEqual(fitted, { messages, ids: encode(messages), dropped: 0 })
  })

  it("leaves out the oldest turns, and makes room for more than one answer", () => {
    const messages = talk(5, [10, 11, 12], 10)
    // 83 tokens, with at most 80 for the prompt: 61 without the first turn, 37 without the second, of 55 wanted
    const fitted = fitTurns(messages, { opening: 1, encode, context: 100, answer: 20 })
    const kept = [...messages.slice(0, 1), ...messages.slice(5)]
    assert.deepStrictEqual(fitted, { messages: kept, ids: encode(kept), dropped: 4 })
  })

  it("says how long the last message is if even that does not fit", () => {
    assert.deepStrictEqual(fitTurns(talk(5, [10], 100), { opening: 1, encode, context: 100, answer: 20 }), {
      tooLong: 107
    })
  })

  it("holds for any conversation", () => {
    const sizes = FastCheck.integer({ min: 0, max: 60 })
    FastCheck.assert(
      FastCheck.property(sizes, FastCheck.array(sizes, { maxLength: 12 }), sizes, (system, turns, last) => {
        const messages = talk(system, turns, last)
        const opening = system === 0 ? 0 : 1
        const options = { opening, encode, context: 128, answer: 40 }
        const fitted = fitTurns(messages, options)
        const least = encode([...messages.slice(0, opening), ...messages.slice(-1)]).length
        if ("tooLong" in fitted) return fitted.tooLong === least && least >= options.context
        const rest = [...messages.slice(0, opening), ...messages.slice(opening + fitted.dropped)]
        assert.deepStrictEqual(fitted.messages, rest)
        assert.strictEqual(fitted.dropped % 2, 0)
        return fitted.ids.length <= promptLimit(options) || fitted.messages.length === opening + 1
      })
    )
  })
})
