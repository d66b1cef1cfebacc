import type { SpanStep } from "@swarm/compute"
import { oracleSpan } from "@swarm/testing"
import { assert, describe, it } from "vitest"
import { makeScheduler, type SchedulerOptions } from "../src/Scheduler.ts"
import type { Session } from "../src/Session.ts"
import { feed, HIDDEN, rowsAt, sessionOf } from "./support.ts"

/** A scheduler over an oracle, and what it did: tokens by session of each run, rows by session. */
const setUp = (
  options: SchedulerOptions = {},
  before: (run: number) => void = () => {},
  after: (session: Session) => void = () => {}
) => {
  const runs: Array<ReadonlyArray<readonly [name: string, tokens: number]>> = []
  const names = new Map<unknown, string>()
  const rows = new Map<string, Array<number>>()
  const failures: Array<readonly [name: string, cause: unknown]> = []
  const span = oracleSpan({
    from: 0,
    to: 2,
    hiddenSize: HIDDEN,
    before: (steps: ReadonlyArray<SpanStep>) => {
      runs.push(steps.map(({ kv, tokens }) => [names.get(kv) ?? "?", tokens]))
      return before(runs.length - 1)
    }
  })
  const scheduler = makeScheduler(
    span,
    (session, work, y) => {
      assert.strictEqual(y.length, work.tokens * HIDDEN)
      rows.set(session.name, [...(rows.get(session.name) ?? []), ...y])
      after(session)
    },
    (session, cause) => failures.push([session.name, cause]),
    options
  )
  const session = (name: string): Session => {
    const made = sessionOf({ name, span, maxTokens: 1024 })
    names.set(made.kv, name)
    return made
  }
  const wake = (sessionOrName: Session, position: number, tokens: number) => {
    assert.isUndefined(feed(sessionOrName, position, tokens))
    scheduler.wake(sessionOrName)
  }
  return { scheduler, session, wake, runs, rows, failures }
}

/** What an oracle gives for positions 0 to `tokens` in one run. */
const alone = async (tokens: number): Promise<ReadonlyArray<number>> => {
  const span = oracleSpan({ from: 0, to: 2, hiddenSize: HIDDEN })
  return [...(await span.run([{ kv: span.open(1024), position: 0, tokens }], rowsAt(0, tokens)))]
}

describe("Scheduler", () => {
  it("puts sessions that are ready into one run", async () => {
    const { scheduler, session, wake, runs, rows } = setUp()
    for (const name of ["a", "b", "c"]) wake(session(name), 0, 1)
    assert.strictEqual(scheduler.queue(), 3)
    await scheduler.idle()
    assert.deepStrictEqual(runs, [
      [
        ["a", 1],
        ["b", 1],
        ["c", 1]
      ]
    ])
    for (const name of ["a", "b", "c"]) assert.deepStrictEqual(rows.get(name), [...(await alone(1))])
    assert.strictEqual(scheduler.queue(), 0)
  })

  it("takes short steps first, and one long one along in small chunks", async () => {
    const { scheduler, session, wake, runs, rows } = setUp({ sharedChunk: 16, chunk: 50 })
    const [long, other, short] = [session("long"), session("other"), session("short")]
    wake(long, 0, 40)
    wake(other, 0, 40)
    wake(short, 0, 1)
    await scheduler.idle()
    assert.deepStrictEqual(runs[0], [
      ["short", 1],
      ["long", 16]
    ])
    // one long step in a run, never two
    for (const run of runs) assert.isAtMost(run.filter(([, tokens]) => tokens > 8).length, 1)
    for (const name of ["long", "other"]) assert.deepStrictEqual(rows.get(name), [...(await alone(40))])
  })

  it("gives a lone prompt larger chunks", async () => {
    const { scheduler, session, wake, runs } = setUp({ sharedChunk: 16, chunk: 50 })
    wake(session("a"), 0, 120)
    await scheduler.idle()
    assert.deepStrictEqual(runs, [[["a", 50]], [["a", 50]], [["a", 20]]])
  })

  it("lets nobody starve: a prompt is read beside more decoding sessions than a run holds", async () => {
    const PROMPT = 160
    const { scheduler, session, wake, runs } = setUp({ sharedChunk: 16 }, undefined, (one) => {
      // each has its next token as soon as the last one is through, until the prompt is read
      if (one !== long && long.position() < PROMPT) wake(one, one.position(), 1)
    })
    const decoding = Array.from({ length: 10 }, (_, i) => session(`d${i}`))
    const long = session("long")
    for (const one of decoding) wake(one, 0, 1)
    wake(long, 0, PROMPT)
    await scheduler.idle()
    assert.strictEqual(long.position(), PROMPT)
    for (const run of runs.slice(0, PROMPT / 16)) {
      assert.lengthOf(run, 8)
      assert.deepStrictEqual(run.at(-1), ["long", 16])
    }
    const turns = decoding.map(({ name }) => runs.filter((run) => run.some(([other]) => other === name)).length)
    assert.isAtMost(Math.max(...turns) - Math.min(...turns), 1, String(turns))
  })

  it("takes turns among more sessions than a run holds", async () => {
    const { scheduler, session, wake, runs } = setUp()
    const sessions = Array.from({ length: 11 }, (_, i) => session(`s${i}`))
    for (const one of sessions) {
      feed(one, 0, 1)
      feed(one, 1, 1)
      wake(one, 2, 1)
    }
    await scheduler.idle()
    // 33 tokens in runs of 8; between two turns of a session everybody else has had one
    const order = runs.flatMap((run) => run.map(([name]) => name))
    assert.lengthOf(order, 33)
    for (const [at, name] of order.entries()) {
      const next = order.indexOf(name, at + 1)
      if (next > 0) assert.isAtLeast(new Set(order.slice(at, next)).size, 8)
    }
    assert.sameMembers(
      order.slice(0, 11),
      sessions.map(({ name }) => name)
    )
  })

  it("reports a run that failed to each of its sessions, and goes on", async () => {
    const broken = new Error("out of memory")
    const { scheduler, session, wake, runs, rows, failures } = setUp({}, (run) => {
      if (run === 0) throw broken
    })
    const [a, b] = [session("a"), session("b")]
    wake(a, 0, 2)
    wake(b, 0, 1)
    await scheduler.idle()
    assert.deepStrictEqual(failures, [
      ["a", broken],
      ["b", broken]
    ])
    assert.strictEqual(a.position(), 0)
    wake(a, 0, 2)
    await scheduler.idle()
    assert.deepStrictEqual(rows.get("a"), [...(await alone(2))])
    assert.isUndefined(rows.get("b"))
    assert.lengthOf(runs, 2)
  })

  it("gives no rows to a session that was closed during the run", async () => {
    const { scheduler, session, wake, rows, failures } = setUp({}, () => a.close())
    const [a, b] = [session("a"), session("b")]
    wake(a, 0, 1)
    wake(b, 0, 1)
    await scheduler.idle()
    assert.deepStrictEqual([...rows.keys()], ["b"])
    assert.deepStrictEqual(failures, [])
  })
})
