/**
 * Counts a run of tests: one plain closing line, or a file for the gate, which adds other checks to it.
 * @module
 */
import { writeFileSync } from "node:fs"
import { relative } from "node:path"
import type { Reporter, TestModule, TestSuite } from "vitest/node"

/** Suites and modules that broke outside of any test: a hook, a body or an import that throws. */
const broken = (owner: TestModule | TestSuite): number => {
  let count = owner.errors().length > 0 ? 1 : 0
  for (const suite of owner.children.suites()) count += broken(suite)
  return count
}

/** Counts tests by their result; what broke outside of a test counts as a failure of its own. */
export default class PlainReporter implements Reporter {
  onTestRunEnd(modules: ReadonlyArray<TestModule>, errors: ReadonlyArray<unknown>): void {
    let passed = 0
    let failed = errors.length
    const skippedNames: Array<string> = []
    for (const module of modules) {
      failed += broken(module)
      for (const test of module.children.allTests()) {
        const { state } = test.result()
        if (state === "passed") passed++
        else if (state === "failed") failed++
        else skippedNames.push(`${relative(process.cwd(), module.moduleId)}: ${test.fullName}`)
      }
    }
    const skipped = skippedNames.length
    const report = process.env.SWARM_TEST_REPORT
    if (report !== undefined) {
      writeFileSync(report, JSON.stringify({ passed, failed, skipped, skippedNames }))
      return
    }
    for (const name of skippedNames) console.log(`skipped: ${name}`)
    console.log(`\n${passed} passed, ${failed} failed, ${skipped} skipped`)
  }
}
