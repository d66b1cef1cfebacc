/**
 * `swarm pull`: downloads a model into the standard Hub cache.
 * @module
 */
import { pull as pullModel } from "@swarm/model"
import * as Effect from "effect/Effect"
import type { Parsed } from "../args.ts"
import { given } from "../numerics.ts"
import { makeOutput, size } from "../output.ts"
import type { pull } from "../specs.ts"

/** Progress is shown so often, in milliseconds. */
const EVERY = 500

export const run = ({ values, positional }: Parsed<typeof pull.options>): Effect.Effect<void, unknown> =>
  Effect.gen(function* () {
    const output = makeOutput(values.json)
    let shownAt = 0
    const pulled = yield* pullModel(positional, {
      ...given({ gguf: values.file }),
      onProgress: ({ file, files, received, total }) => {
        const now = performance.now()
        if (now - shownAt < EVERY && received < total) return
        shownAt = now
        const share = ((100 * received) / Math.max(1, total)).toFixed(0).padStart(3)
        output.progress(
          { event: "progress", file, files, received, total },
          `${share} %  ${size(received)} of ${size(total)}  ${file}`
        )
      }
    })
    output.event({ event: "done", ...pulled }, `${pulled.folder}\n${pulled.files.length} files, ${size(pulled.bytes)}`)
  })
