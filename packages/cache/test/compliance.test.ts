import { assert } from "@effect/vitest"
import { makeJournalStore, makeMemoryJournal } from "@swarm/cache"
import * as compliance from "@swarm/cache/compliance"

compliance.journal({ name: "a memory journal", make: () => makeMemoryJournal() })
compliance.journal({ name: "a memory journal in small chunks", make: () => makeMemoryJournal({ chunkBytes: 100 }) })

const roomy = makeJournalStore({ memoryBytes: 2 ** 20 })
compliance.journal({
  name: "a journal of a store",
  make: roomy.journal,
  after: () => assert.strictEqual(roomy.memoryBytes(), 0)
})

const tight = makeJournalStore({ memoryBytes: 1000 })
compliance.journal({
  name: "a journal that spills at once",
  make: tight.journal,
  after: () => {
    assert.strictEqual(tight.memoryBytes(), 0)
    assert.strictEqual(tight.diskBytes(), 0)
  }
})
