/**
 * The gate for developers: `npm run ok`, or only some steps of it: `npm run ok -- types layers`. Uses the real model if
 * it is there already; `npm test` fetches it.
 * @module
 */
import { stopGroupsOnSignal } from "./internal/command.mjs"
import { close, runGate, steps } from "./internal/gate.mjs"
import { setupOrExit } from "./setup.mjs"

stopGroupsOnSignal()
await setupOrExit(console.log)

const all = steps()
const names = process.argv.slice(2)
const unknown = names.filter((name) => !all.some((step) => step.name === name))
if (unknown.length > 0) {
  console.error(`No such step: ${unknown.join(", ")}. There are: ${all.map(({ name }) => name).join(", ")}`)
  process.exit(1)
}
close(await runGate(all.filter(({ name }) => names.length === 0 || names.includes(name))))
