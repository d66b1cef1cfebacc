/**
 * Interruption that is not lost while finalizers run.
 * @module
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"

/**
 * `effect`, interrupted also by what arrives during the finalizers of an inner scope.
 *
 * After a finalizer, `addFinalizer` of Effect 3.22 restores fiber refs. One that had no value when the finalizer was added, and has the initial
 * one since an earlier finalizer ran, is set back to that: so an interruption that arrives during the second finalizer is forgotten. It is not
 * if the ref has had its value from the start.
 */
export const keepInterruption = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.zipRight(FiberRef.set(FiberRef.interruptedCause, Cause.empty), effect)
