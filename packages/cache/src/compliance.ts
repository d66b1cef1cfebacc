/**
 * What every journal must do, as a test suite: call `journal` in a test file of yours.
 * @module
 */
import { assert, describe, it } from "@effect/vitest"
import type { WireCodec } from "@swarm/protocol"
import * as FastCheck from "effect/FastCheck"
import type { Journal, JournalEntry } from "./Journal.ts"

/** @see journal */
export interface Options {
  readonly name: string
  /** Makes an empty journal that can hold 256 KiB. */
  readonly make: () => Journal
  /** Called after each test, for instance to see that nothing leaked. */
  readonly after?: () => void
}

/** Length of a row in bytes, another one for each codec. */
const ROW: Record<WireCodec, number> = { f32: 48, f16: 24, bf16: 24, int8: 17, dynamic8: 19, int4: 10 }

/** A row whose bytes say where it belongs: a row that is lost, moved or old is seen. */
const row = (position: number, codec: WireCodec, version: number): Uint8Array => {
  const bytes = new Uint8Array(ROW[codec])
  for (let i = 0; i < bytes.length; i++) bytes[i] = position * 31 + i * 7 + version * 101
  return bytes
}

const entry = (position: number, tokens: number, codec: WireCodec, version = 0): JournalEntry => ({
  position,
  tokens,
  codec,
  payload: Buffer.concat(Array.from({ length: tokens }, (_, i) => row(position + i, codec, version)))
})

interface NaiveRow {
  readonly codec: WireCodec
  readonly bytes: Uint8Array
}

/** The rows of `pieces`, after checking that these follow each other from `from` and are as long as they say. */
const rowsOf = (pieces: Iterable<JournalEntry>, from: number, maxTokens: number): Array<NaiveRow> => {
  const rows: Array<NaiveRow> = []
  let position = from
  for (const piece of pieces) {
    assert.strictEqual(piece.position, position)
    assert.isAtLeast(piece.tokens, 1)
    assert.isAtMost(piece.tokens, maxTokens)
    const length = ROW[piece.codec]
    assert.strictEqual(piece.payload.length, piece.tokens * length)
    for (let i = 0; i < piece.tokens; i++) {
      rows.push({ codec: piece.codec, bytes: Uint8Array.from(piece.payload.subarray(i * length, (i + 1) * length)) })
    }
    position += piece.tokens
  }
  return rows
}

type Command =
  | { readonly _tag: "Append"; readonly shift: number; readonly tokens: number; readonly codec: WireCodec }
  | { readonly _tag: "Truncate"; readonly share: number }
  | { readonly _tag: "Read"; readonly share: number; readonly maxTokens: number }

const commands: FastCheck.Arbitrary<Array<Command>> = FastCheck.array(
  FastCheck.oneof(
    {
      weight: 6,
      arbitrary: FastCheck.record({
        _tag: FastCheck.constant("Append" as const),
        shift: FastCheck.oneof(
          { weight: 4, arbitrary: FastCheck.constant(0) },
          FastCheck.integer({ min: -20, max: 3 })
        ),
        tokens: FastCheck.oneof(FastCheck.constant(1), FastCheck.integer({ min: 1, max: 200 })),
        codec: FastCheck.constantFrom<WireCodec>("f16", "f16", "f16", "int8", "f32")
      })
    },
    FastCheck.record({
      _tag: FastCheck.constant("Truncate" as const),
      share: FastCheck.double({ min: 0, max: 1.1, noNaN: true })
    }),
    {
      weight: 2,
      arbitrary: FastCheck.record({
        _tag: FastCheck.constant("Read" as const),
        share: FastCheck.double({ min: 0, max: 1, noNaN: true }),
        maxTokens: FastCheck.integer({ min: 1, max: 100 })
      })
    }
  ),
  { maxLength: 40 }
)

/** Registers the suite. */
export const journal = (options: Options): void => {
  describe(`${options.name} is a Journal`, () => {
    const test = (name: string, body: (journal: Journal) => void): void =>
      it(name, () => {
        const subject = options.make()
        try {
          body(subject)
        } finally {
          subject.close()
          options.after?.()
        }
      })

    test("is empty at first", (journal) => {
      assert.strictEqual(journal.end(), 0)
      assert.strictEqual(journal.bytes(), 0)
      assert.deepEqual([...journal.read(0, 8)], [])
    })

    test("copies what is appended", (journal) => {
      const appended = entry(0, 3, "f16")
      const before = rowsOf([appended], 0, 3)
      assert.isTrue(journal.append(appended))
      appended.payload.fill(0)
      assert.deepEqual(rowsOf(journal.read(0, 8), 0, 8), before)
    })

    test("refuses an entry after a gap and holds what it had", (journal) => {
      journal.append(entry(0, 2, "f16"))
      assert.isFalse(journal.append(entry(3, 1, "f16")))
      assert.strictEqual(journal.end(), 2)
    })

    test("cuts off rows that it holds", (journal) => {
      journal.append(entry(0, 4, "f16"))
      assert.isTrue(journal.append(entry(0, 4, "f16", 1)))
      assert.isTrue(journal.append(entry(2, 5, "f16", 1)))
      const wanted = [...rowsOf([entry(0, 4, "f16")], 0, 4), ...rowsOf([entry(4, 3, "f16", 1)], 4, 3)]
      assert.strictEqual(journal.end(), 7)
      assert.deepEqual(rowsOf(journal.read(0, 8), 0, 8), wanted)
    })

    test("joins single rows into pieces of the size asked for", (journal) => {
      for (let position = 0; position < 1000; position++) journal.append(entry(position, 1, "f16"))
      const sizes = Array.from(journal.read(3, 64), (piece) => piece.tokens)
      assert.deepEqual(sizes, [...Array.from({ length: 15 }, () => 64), 37])
      assert.strictEqual(journal.bytes(), 1000 * ROW.f16)
    })

    test("never joins rows of two codecs", (journal) => {
      journal.append(entry(0, 3, "f16"))
      journal.append(entry(3, 2, "int8"))
      journal.append(entry(5, 1, "f16"))
      const pieces = Array.from(journal.read(1, 100), (piece) => [piece.position, piece.tokens, piece.codec])
      assert.deepEqual(pieces, [
        [1, 2, "f16"],
        [3, 2, "int8"],
        [5, 1, "f16"]
      ])
    })

    test("takes other rows after it was truncated", (journal) => {
      journal.append(entry(0, 100, "f16"))
      journal.truncate(40)
      assert.strictEqual(journal.end(), 40)
      assert.strictEqual(journal.bytes(), 40 * ROW.f16)
      journal.append(entry(40, 20, "f16", 1))
      const wanted = [...rowsOf([entry(0, 40, "f16")], 0, 40), ...rowsOf([entry(40, 20, "f16", 1)], 40, 20)]
      assert.deepEqual(rowsOf(journal.read(0, 64), 0, 64), wanted)
      journal.truncate(1000)
      assert.strictEqual(journal.end(), 60)
    })

    test("reads up to the end that it had, also while rows are appended", (journal) => {
      journal.append(entry(0, 10, "f16"))
      const positions: Array<number> = []
      for (const piece of journal.read(0, 4)) {
        positions.push(piece.position)
        journal.append(entry(journal.end(), 50, "f16"))
      }
      assert.deepEqual(positions, [0, 4, 8])
    })

    test("stops reading when it is truncated or closed meanwhile", (journal) => {
      journal.append(entry(0, 10, "f16"))
      const reading = journal.read(0, 4)[Symbol.iterator]()
      assert.isFalse(reading.next().done)
      journal.truncate(4)
      assert.isTrue(reading.next().done)
      const again = journal.read(0, 2)[Symbol.iterator]()
      assert.isFalse(again.next().done)
      journal.close()
      assert.isTrue(again.next().done)
    })

    test("refuses entries whose numbers do not fit", (journal) => {
      const good = entry(0, 2, "f16")
      const bad: ReadonlyArray<Partial<JournalEntry>> = [
        { position: -1 },
        { position: 0.5 },
        { tokens: 0 },
        { tokens: 5 },
        { tokens: Number.NaN },
        { payload: new Uint8Array(0) }
      ]
      for (const fields of bad) {
        assert.throws(() => journal.append({ ...good, ...fields }), /Cannot journal/)
        assert.strictEqual(journal.end(), 0)
      }
    })

    test("takes nothing once closed", (journal) => {
      journal.append(entry(0, 2, "f16"))
      journal.close()
      journal.close()
      assert.isFalse(journal.append(entry(0, 1, "f16")))
      assert.deepEqual([...journal.read(0, 1)], [])
      assert.strictEqual(journal.bytes(), 0)
    })

    it("equals a list of rows under any commands", () => {
      FastCheck.assert(
        FastCheck.property(commands, (sequence) => {
          const subject = options.make()
          const naive: Array<NaiveRow> = []
          try {
            for (const [version, command] of sequence.entries()) {
              if (command._tag === "Append") {
                const position = Math.max(0, naive.length + command.shift)
                const appended = entry(position, command.tokens, command.codec, version)
                assert.strictEqual(subject.append(appended), position <= naive.length)
                if (position <= naive.length) {
                  naive.push(...rowsOf([appended], position, command.tokens).slice(naive.length - position))
                }
              } else if (command._tag === "Truncate") {
                const position = Math.floor(naive.length * command.share)
                subject.truncate(position)
                naive.length = Math.min(naive.length, position)
              } else {
                const from = Math.floor(naive.length * command.share)
                const rows = rowsOf(subject.read(from, command.maxTokens), from, command.maxTokens)
                assert.deepEqual(rows, naive.slice(from))
              }
              assert.strictEqual(subject.end(), naive.length)
              assert.strictEqual(
                subject.bytes(),
                naive.reduce((sum, { bytes }) => sum + bytes.length, 0)
              )
            }
            assert.deepEqual(rowsOf(subject.read(0, 64), 0, 64), naive)
          } finally {
            subject.close()
            options.after?.()
          }
        }),
        { numRuns: 100 }
      )
    })
  })
}
