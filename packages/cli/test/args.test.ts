import { assert, describe, it } from "vitest"
import { bytes, count, flag, helpOf, number, parse, type Spec, text, texts, UsageError } from "../src/args.ts"
import { commands } from "../src/specs.ts"

const spec = {
  name: "cook",
  summary: "Cooks",
  options: {
    dish: text("what", { value: "NAME" }),
    style: text("how", { choices: ["raw", "fried"] }),
    guest: texts("who"),
    hot: flag("whether"),
    salt: number("grams", { least: -1, greatest: 5 }),
    plates: count("how many", { greatest: 12 }),
    pot: bytes("room"),
    secret: flag("not for everybody", { hidden: true })
  }
} satisfies Spec

const read = (...argv: ReadonlyArray<string>) => parse(spec, argv).values

/** What the usage error says. */
const refusal = (argv: ReadonlyArray<string>, of: Spec = spec): string => {
  try {
    parse(of, argv)
  } catch (cause) {
    assert.instanceOf(cause, UsageError)
    return (cause as UsageError).message
  }
  return assert.fail(`accepted ${argv.join(" ")}`)
}

describe("parse", () => {
  it("gives each kind of option its type", () => {
    const values = read("--dish", "soup", "--style=fried", "--guest", "a", "--guest=b", "--hot", "--salt=-0.5")
    assert.deepStrictEqual(values, {
      dish: "soup",
      style: "fried",
      guest: ["a", "b"],
      hot: true,
      salt: -0.5,
      plates: undefined,
      pot: undefined,
      secret: false
    })
  })

  it("leaves out what is not given: flags are false, repeatable options empty", () => {
    const values = read()
    assert.deepStrictEqual([values.hot, values.guest, values.dish], [false, [], undefined])
  })

  it("takes the last of an option that is given twice", () => assert.strictEqual(read("--salt=1", "--salt=2").salt, 2))

  it("keeps numbers in their range", () => {
    assert.strictEqual(read("--plates=12").plates, 12)
    assert.strictEqual(read("--plates", "1e1").plates, 10)
    for (const said of ["0", "13", "1.5", "x", "", " ", "NaN", "Infinity", "1e999", "-3"])
      assert.strictEqual(refusal([`--plates=${said}`]), `--plates must be a whole number from 1 to 12: got "${said}"`)
    assert.strictEqual(refusal(["--salt=5.01"]), '--salt must be a number from -1 to 5: got "5.01"')
  })

  it("reads sizes in decimal and binary units", () => {
    const sizes = { "4096": 4096, "512MB": 512e6, "2GiB": 2 ** 31, "1.5k": 1500, "1 KiB": 1024, "3t": 3e12, "7B": 7 }
    for (const [said, expected] of Object.entries(sizes)) assert.strictEqual(read(`--pot=${said}`).pot, expected, said)
    for (const said of ["", "GB", "-5", "1e9", "1XB", "1GBs"])
      assert.strictEqual(refusal([`--pot=${said}`]), `--pot must be a size such as 512MB or 2GiB: got "${said}"`)
  })

  it("refuses what it does not know, in one sentence", () => {
    assert.strictEqual(refusal(["--style=boiled"]), '--style must be one of raw, fried: got "boiled"')
    assert.strictEqual(refusal(["--bogus"]), "unknown option '--bogus'")
    assert.strictEqual(refusal(["extra"]), '"extra" is one argument too many')
    assert.include(refusal(["--hot=yes"]), "--hot")
    assert.include(refusal(["--dish"]), "--dish")
    for (const argv of [
      ["--dish", "-x"],
      ["--salt", "-1"],
      ["--dish", "--hot"]
    ]) {
      const said = refusal(argv)
      assert.notInclude(said, "\n")
      assert.include(said, `${argv[0]} needs a value`)
      assert.include(said, `${argv[0]}=-VALUE`)
    }
  })

  it("asks for the positional argument, unless help is wanted", () => {
    const one: Spec = { name: "look", summary: "Looks", positional: "REF", options: {} }
    assert.strictEqual(parse(one, ["x"]).positional, "x")
    assert.strictEqual(refusal([], one), "REF is missing: swarm look REF")
    assert.strictEqual(refusal(["x", "y"], one), '"y" is one argument too many')
    assert.isTrue(parse(one, ["--help"]).help)
    assert.isTrue(parse(one, ["-h"]).help)
  })
})

describe("help", () => {
  it("shows every option but hidden ones", () => {
    const help = helpOf(spec)
    for (const shown of ["--dish NAME", "--style raw|fried", "--guest TEXT", "--hot\n", "--plates N", "--pot SIZE"])
      assert.include(help, shown)
    assert.notInclude(help, "secret")
  })

  for (const { spec } of commands)
    it(`of ${spec.name} fits a terminal of 80 columns and keeps every word`, () => {
      const help = helpOf(spec)
      for (const line of help.split("\n")) assert.isAtMost(line.length, 80, line)
      const words = help.split(/\s+/).join(" ")
      for (const [name, option] of Object.entries(spec.options)) {
        if (option.hidden === true) continue
        assert.include(words, `--${name} `)
        assert.include(words, option.help)
      }
    })
})
