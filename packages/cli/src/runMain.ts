/**
 * Runs a command as the process: signals end it in an orderly way, and its exit becomes the exit code.
 * @module
 */
import { makeRunMain } from "@effect/platform/Runtime"
import * as Effect from "effect/Effect"

const SIGNALS = ["SIGINT", "SIGTERM"] as const

/** Who takes the first signal instead of being interrupted. */
let graceful: (() => void) | undefined

/**
 * Succeeds at the first SIGINT or SIGTERM. While somebody waits for it, that signal does not interrupt the command: it
 * can take leave. The next one does.
 */
export const firstSignal: Effect.Effect<void> = Effect.async<void>((resume) => {
  graceful = () => resume(Effect.void)
  return Effect.sync(() => {
    graceful = undefined
  })
})

/** The second signal interrupts, so that finalizers run; one more ends the process where it stands. */
export const runMain = makeRunMain(({ fiber, teardown }) => {
  let interrupted = false
  let isOutputLost = false
  const onSignal = () => {
    const take = graceful
    graceful = undefined
    if (take !== undefined) take()
    else if (interrupted) process.exit(130)
    else {
      interrupted = true
      fiber.unsafeInterruptAsFork(fiber.id())
    }
  }
  const onOutputError = (error: NodeJS.ErrnoException) => {
    // who reads the output has gone, as `head` does: nothing is left to say
    if (error.code !== "EPIPE" && !isOutputLost) {
      isOutputLost = true
      process.stderr.write(`swarm: Cannot write the output: ${error.message}\n`)
    }
    fiber.unsafeInterruptAsFork(fiber.id())
  }
  process.stdout.on("error", onOutputError)
  process.stderr.on("error", onOutputError)
  // fibers that only wait do not keep the process alive
  const alive = setInterval(() => undefined, 2 ** 31 - 1)
  for (const signal of SIGNALS) process.on(signal, onSignal)
  fiber.addObserver((exit) => {
    clearInterval(alive)
    for (const signal of SIGNALS) process.removeListener(signal, onSignal)
    teardown(exit, (code) => {
      if (isOutputLost) process.exit(1)
      if (code !== 0) process.exit(code)
    })
  })
})
