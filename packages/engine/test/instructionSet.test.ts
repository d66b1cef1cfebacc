import { assert, describe, it } from "@effect/vitest"
import { instructionSet, instructionSetOf } from "../src/index.ts"

describe("instructionSet", () => {
  it("names the widest extension that kernels know", () => {
    const of = (arch: string, flags: string) => instructionSetOf(arch, new Set(flags.split(" ")))
    assert.strictEqual(of("x64", "sse2 avx2 avx512bw avx512_vnni"), "x64-avx512-vnni")
    assert.strictEqual(of("x64", "sse2 avx2 avx512bw"), "x64-avx512")
    assert.strictEqual(of("x64", "sse2 avx2 avx_vnni"), "x64-avx2-vnni")
    assert.strictEqual(of("x64", "sse2 avx2"), "x64-avx2")
    assert.strictEqual(of("arm64", "asimd asimddp i8mm"), "arm64-i8mm")
    assert.strictEqual(of("arm64", "asimd"), "arm64-neon")
    assert.strictEqual(of("x64", ""), undefined)
    assert.strictEqual(of("riscv64", "v"), undefined)
  })

  it("names this machine in one word", () => {
    assert.match(instructionSet(), new RegExp(`^${process.arch}-[a-z0-9-]+$`))
  })
})
