/**
 * `npm test`: everything that a fresh clone needs, then the whole gate. Ends with `N passed, N failed`.
 *
 * With CI=true a missing real model is a failure; else its tests are skipped, by name.
 * @module
 */
import { stopGroupsOnSignal } from "./internal/command.mjs"
import { close, runGate, steps } from "./internal/gate.mjs"
import { fetchModel } from "./model.mjs"
import { setupOrExit } from "./setup.mjs"

/** @returns {Promise<string | undefined>} the path of the model, if it can be had */
const model = async () => {
  try {
    return await fetchModel(console.log)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    console.log(`The tests with the real model are skipped: ${reason}`)
    return undefined
  }
}

stopGroupsOnSignal()
await setupOrExit(console.log)

const strict = process.env.CI === "true"
const path = await model()
if (path === undefined && strict) console.log("FAILED model: with CI=true the tests with the real model must run")
const counts = await runGate(steps(), path === undefined ? {} : { SWARM_SMOLLM2: path })
close({ ...counts, failed: counts.failed + (path === undefined && strict ? 1 : 0) })
