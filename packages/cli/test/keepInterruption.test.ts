import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { keepInterruption } from "../src/keepInterruption.ts"

describe("keepInterruption", () => {
  it.effect("an interruption during the second finalizer of a scope interrupts what follows", () =>
    Effect.gen(function* () {
      const begun = yield* Deferred.make<void>()
      const end = yield* Deferred.make<void>()
      let goesOn = false
      const scoped = Effect.scoped(
        Effect.gen(function* () {
          yield* Effect.addFinalizer(() => Effect.zipRight(Deferred.succeed(begun, undefined), Deferred.await(end)))
          yield* Effect.addFinalizer(() => Effect.void)
        })
      )
      const rest = Effect.sync(() => {
        goesOn = true
      })
      const fiber = yield* Effect.forkDaemon(keepInterruption(Effect.zipRight(scoped, rest)))
      yield* Deferred.await(begun)
      yield* Fiber.interruptFork(fiber)
      yield* Effect.yieldNow()
      yield* Deferred.succeed(end, undefined)
      assert.isTrue(Exit.isInterrupted(yield* Fiber.await(fiber)))
      assert.isFalse(goesOn)
    })
  )
})
