/**
 * A real model, SmolLM2-135M-Instruct in Q4_1, against transformers.
 */
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { openSafetensors } from "@swarm/tensor"
import { makeChain } from "./support/chain.ts"
import { argmax, fixtures, open, relativeError, smollm2 } from "./support/fixtures.ts"

const prompts = ["chat", "code", "fact", "list", "long", "one", "story", "unicode"]

describe.skipIf(smollm2 === undefined)("SmolLM2", () => {
  const expected = openSafetensors(path.join(fixtures, "smollm2/expected.safetensors"))
  const integers = (name: string) => Array.from(expected.readArray(name), Number)
  const model = () => open(smollm2 ?? "")
  const maxPositions = 640

  it("with f32 activations: hidden states behind blocks 9, 19 and 29, and logits", async () => {
    const smol = model()
    const chain = await makeChain(smol, [0, 10, 20, 30], { activations: "f32", maxPositions })
    for (const prompt of prompts) {
      const ids = integers(`${prompt}.ids`)
      const x = smol.embedding().lookup(ids)
      const results = [x, ...(await chain.step(chain.open(ids.length), 0, x))]
      if (expected.tensors.has(`${prompt}.hidden`)) {
        const hidden = expected.readFloat32(`${prompt}.hidden`)
        const scale = Math.max(...hidden.map(Math.abs))
        results.forEach((values, i) => {
          const wanted = hidden.subarray(i * x.length, (i + 1) * x.length)
          const error = relativeError(values, wanted) * Math.max(...wanted.map(Math.abs))
          assert.isBelow(error, 1e-4 * scale, `${prompt}, boundary ${i}`)
        })
      }
      const logits = await chain.head.logits((results.at(-1) ?? x).slice(-smol.hiddenSize))
      assert.isBelow(relativeError(logits, expected.readFloat32(`${prompt}.last_logits`)), 1e-4, prompt)
      assert.strictEqual(argmax(logits), integers(`${prompt}.greedy_ids`)[0], prompt)
    }
  })

  it("with int8 activations: the same first choice as in float", async () => {
    const smol = model()
    const chain = await makeChain(smol, [0, 30], { activations: "int8", maxPositions })
    let positions = 0
    let same = 0
    for (const prompt of prompts) {
      const ids = integers(`${prompt}.ids`)
      const top = integers(`${prompt}.top20.ids`)
      const [y = new Float32Array(0)] = await chain.step(chain.open(ids.length), 0, smol.embedding().lookup(ids))
      for (let at = 0; at < ids.length; at += 32) {
        const rows = Math.min(32, ids.length - at)
        const logits = await chain.head.logits(y.slice(at * smol.hiddenSize, (at + rows) * smol.hiddenSize))
        for (let row = 0; row < rows; row++) {
          positions++
          const choice = argmax(logits.subarray(row * smol.vocabSize, (row + 1) * smol.vocabSize))
          if (choice === top[(at + row) * 20]) same++
        }
      }
    }
    // four positions of 613 are half a per cent
    assert.isAtLeast(same / positions, 0.965)
  })
})
