import { expect, it } from "vitest"
import { compose, identity, invert, isIdentity, permutation, reorder, takeColumns } from "../src/index.ts"
import { fixture, random, shuffled, values } from "./fixture.ts"

it("inverse and composition are those of the group", () => {
  const next = random(1)
  for (let length = 0; length < 40; length++) {
    const [p, q, r] = [shuffled(next, length), shuffled(next, length), shuffled(next, length)]
    expect(isIdentity(compose(p, invert(p)))).toBe(true)
    expect(isIdentity(compose(invert(p), p))).toBe(true)
    expect(compose(compose(p, q), r)).toEqual(compose(p, compose(q, r)))
    expect(compose(p, identity(length))).toEqual(p)
    const x = values(next, 3 * length)
    expect(takeColumns(x, 3, compose(p, q))).toEqual(takeColumns(takeColumns(x, 3, p), 3, q))
  }
})

it.each(["llama", "granite", "granite-straddling"])(
  "%s: P1 and P2 are the stable argsort of the group indices",
  (name) => {
    const file = fixture(`tp/${name}.safetensors`)
    for (const [layer, P] of [
      ["up", "P1"],
      ["down", "P2"]
    ] as const) {
      const groupIndex = file.i32(`${layer}.g_idx`)
      const { order, groups } = reorder(groupIndex, Math.max(...groupIndex) + 1)
      expect([...order]).toEqual([...file.i32(P)])
      expect(groups).toEqual(groups.slice().sort())
    }
  }
)

it.each([
  [[0, 2, 2], "entry 2 repeats 2"],
  [[0, 3, 1], "entry 1 is 3, of 3"],
  [[0, -1, 1], "entry 1 is -1, of 3"],
  [[0, 0.5, 1], "entry 1 is 0.5, of 3"],
  [[0, Number.NaN, 1], "entry 1 is NaN, of 3"],
  [[1, 0], "2 entries for 3 features"]
])("%j is no permutation", (p, detail) => {
  const error = expect.objectContaining({ _tag: "PlanError", reason: "permutation", subject: "P2", detail })
  expect(() => permutation(p, 3, "P2")).toThrow(error)
})

it("group indices out of range are refused", () => {
  expect(() => reorder([0, 1, 2], 2, "w.g_idx")).toThrow(
    expect.objectContaining({ _tag: "PlanError", reason: "groups", detail: "row 2 is of group 2, of 2" })
  )
  expect(() => reorder([0, -1], 2)).toThrow(expect.objectContaining({ reason: "groups" }))
})
