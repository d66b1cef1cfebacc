/**
 * When a command that serves is to stop.
 * @module
 */
import * as Effect from "effect/Effect"
import { firstSignal } from "./runMain.ts"

/** Succeeds at a signal, or when the parent that watches this process is gone. */
export const stopped = (parent: boolean): Effect.Effect<void> =>
  parent
    ? Effect.raceFirst(
        firstSignal,
        Effect.async<void>((resume) => {
          process.stdin.on("end", () => resume(Effect.void))
          process.stdin.on("error", () => resume(Effect.void))
          process.stdin.resume()
        })
      )
    : firstSignal
