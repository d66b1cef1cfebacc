import * as Effect from "effect/Effect"
export const run = (): Effect.Effect<void, unknown> => Effect.fail(new Error("soon"))
