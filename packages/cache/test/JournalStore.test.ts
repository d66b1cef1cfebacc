import { mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest"
import type { Journal, JournalEntry, JournalStore } from "@swarm/cache"
import { JournalFull, makeJournalStore } from "@swarm/cache"

const ROW = 1024

const row = (journal: number, position: number): Uint8Array => new Uint8Array(ROW).fill(journal * 16 + (position % 16))

const token = (journal: number, position: number): JournalEntry => ({
  position,
  tokens: 1,
  codec: "f16",
  payload: row(journal, position)
})

const check = (journal: Journal, index: number, tokens: number): void => {
  let position = 0
  for (const piece of journal.read(0, 64)) {
    for (let i = 0; i < piece.tokens; i++, position++) {
      assert.deepEqual(Uint8Array.from(piece.payload.subarray(i * ROW, (i + 1) * ROW)), row(index, position))
    }
  }
  assert.strictEqual(position, tokens)
}

describe("makeJournalStore()", () => {
  let folder = ""
  let stores: Array<JournalStore> = []
  const make = (options: { memoryBytes: number; diskBytes?: number; folder?: string }): JournalStore => {
    const store = makeJournalStore({ folder, ...options })
    stores.push(store)
    return store
  }
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "journal-test-"))
  })
  afterEach(() => {
    for (const store of stores) store.close()
    stores = []
    rmSync(folder, { recursive: true })
  })

  it("keeps memory within the budget and every row readable", () => {
    const store = make({ memoryBytes: 256 * ROW })
    const journals = [store.journal(), store.journal(), store.journal()]
    for (let position = 0; position < 1000; position++) {
      for (const [index, journal] of journals.entries()) {
        assert.isTrue(journal.append(token(index, position)))
        assert.isAtMost(store.memoryBytes(), 256 * ROW)
      }
    }
    for (const [index, journal] of journals.entries()) check(journal, index, 1000)
    assert.isAtLeast(store.memoryBytes() + store.diskBytes(), 3000 * ROW)
    assert.isAtLeast(store.memoryBytes(), 128 * ROW)
  })

  it("spills nothing while the budget lasts", () => {
    const store = make({ memoryBytes: 4096 * ROW })
    const journal = store.journal()
    for (let position = 0; position < 1000; position++) journal.append(token(0, position))
    assert.strictEqual(store.diskBytes(), 0)
    assert.isAtMost(store.memoryBytes(), 2 * 1000 * ROW)
  })

  it("leaves no name in the folder, open or closed", () => {
    const store = make({ memoryBytes: 16 * ROW })
    const journal = store.journal()
    for (let position = 0; position < 200; position++) journal.append(token(0, position))
    assert.isAbove(store.diskBytes(), 0)
    if (process.platform !== "win32") assert.deepEqual(readdirSync(folder), [])
    journal.close()
    assert.deepEqual(readdirSync(folder), [])
    assert.strictEqual(store.diskBytes(), 0)
    assert.strictEqual(store.memoryBytes(), 0)
  })

  it("fails with JournalFull if the folder cannot be written, and holds what it had", () => {
    const store = make({ memoryBytes: 16 * ROW, folder: join(folder, "missing") })
    const journal = store.journal()
    let position = 0
    let error: unknown
    try {
      for (; position < 100; position++) journal.append(token(0, position))
    } catch (thrown) {
      error = thrown
    }
    assert.instanceOf(error, JournalFull)
    assert.match(error.message, /ENOENT/)
    assert.isAtLeast(position, 8)
    assert.strictEqual(journal.end(), position)
    check(journal, 0, position)
  })

  it("fails with JournalFull beyond the disk budget, and goes on when another journal is closed", () => {
    const store = make({ memoryBytes: 16 * ROW, diskBytes: 32 * ROW })
    const other = store.journal()
    for (let position = 0; position < 24; position++) other.append(token(1, position))
    const journal = store.journal()
    let position = 0
    assert.throws(() => {
      for (; position < 100; position++) journal.append(token(0, position))
    }, JournalFull)
    check(journal, 0, position)
    check(other, 1, 24)
    other.close()
    assert.isTrue(journal.append(token(0, position)))
    check(journal, 0, position + 1)
  })

  it("gives disk space back when a journal is truncated", () => {
    const store = make({ memoryBytes: 16 * ROW })
    const journal = store.journal()
    for (let position = 0; position < 200; position++) journal.append(token(0, position))
    journal.truncate(50)
    assert.isAtMost(store.diskBytes(), 50 * ROW)
    for (let position = 50; position < 200; position++) journal.append(token(0, position))
    check(journal, 0, 200)
  })

  it("takes a prefill that is greater than the budget", () => {
    const store = make({ memoryBytes: 16 * ROW })
    const journal = store.journal()
    const payload = Buffer.concat(Array.from({ length: 500 }, (_, position) => row(0, position)))
    assert.isTrue(journal.append({ position: 0, tokens: 500, codec: "f16", payload }))
    check(journal, 0, 500)
  })

  it("closes every journal", () => {
    const store = make({ memoryBytes: 16 * ROW })
    const journals = [store.journal(), store.journal()]
    for (let position = 0; position < 100; position++)
      for (const journal of journals) journal.append(token(0, position))
    store.close()
    assert.deepEqual([store.memoryBytes(), store.diskBytes()], [0, 0])
    assert.isFalse(journals[0]?.append(token(0, 0)))
  })
})
