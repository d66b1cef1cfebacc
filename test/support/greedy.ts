/**
 * Greedy generation that keeps the logits, for comparisons to the bit.
 * @module
 */
import type { Pipeline } from "@swarm/client"
import type { Head } from "@swarm/compute"
import { argmaxRow } from "./tensors.ts"

export interface Generated {
  readonly ids: ReadonlyArray<number>
  /** f32 (vocab) for each id. */
  readonly logits: ReadonlyArray<Float32Array>
}

/** Generates `tokens` ids after `prompt`. `at` is called before the step that follows token `index`, from 0. */
export const generateGreedily = async (
  pipeline: Pick<Pipeline, "forward">,
  head: Head,
  prompt: ReadonlyArray<number>,
  tokens: number,
  at: (index: number) => Promise<void> | void = () => {}
): Promise<Generated> => {
  const ids: Array<number> = []
  const logits: Array<Float32Array> = []
  let rows = await pipeline.forward(head.embed(prompt), "last")
  for (let index = 0; index < tokens; index++) {
    const row = await head.logits(rows)
    logits.push(row)
    ids.push(argmaxRow(row, 0, head.vocabSize))
    await at(index)
    if (index + 1 < tokens) rows = await pipeline.forward(head.embed([ids[index] ?? 0]), "last")
  }
  return { ids, logits }
}
