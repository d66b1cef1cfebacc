/**
 * `npm start`: sets the checkout up if needed, then runs `swarm demo` with the given arguments.
 * @module
 */
import { spawn } from "node:child_process"
import { stopGroupsOnSignal } from "./internal/command.mjs"
import { swarmScript } from "./internal/workspace.mjs"
import { setupOrExit } from "./setup.mjs"

// standard output belongs to the demo alone: with --json another program reads it
const release = stopGroupsOnSignal()
await setupOrExit((line) => console.error(line))
release()

const child = spawn(process.execPath, [swarmScript, "demo", ...process.argv.slice(2)], { stdio: "inherit" })
for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"])) {
  process.on(signal, () => {
    // Ctrl-C reaches the whole foreground group of a terminal: passing it on would deliver it twice
    if (signal !== "SIGINT" || !process.stdin.isTTY) child.kill(signal)
  })
}
child.once("error", (error) => {
  console.error(`The demo cannot be started: ${error.message}`)
  process.exitCode = 1
})
child.once("exit", (code, signal) => {
  if (signal === null) process.exit(code ?? 1)
  process.removeAllListeners(signal)
  process.kill(process.pid, signal)
})
