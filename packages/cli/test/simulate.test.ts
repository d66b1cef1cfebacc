import { execFile } from "node:child_process"
import * as path from "node:path"
import { promisify } from "node:util"
import { assert, describe, it } from "vitest"

const root = path.join(import.meta.dirname, "../../..")
const swarm = (...args: ReadonlyArray<string>) =>
  promisify(execFile)(process.execPath, [
    "--import",
    "tsx",
    "--conditions=swarm-src",
    path.join(root, "packages/cli/src/main.ts"),
    ...args
  ])
const scenario = (name: string): string => path.join(root, "examples/scenarios", name)
const lines = (stdout: string): ReadonlyArray<Record<string, unknown>> =>
  stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line))

describe("swarm simulate", () => {
  it("prints one object for each run of the file", async () => {
    const { stdout } = await swarm("simulate", scenario("paper-bloom-3xA100.json"), "--json")
    const runs = lines(stdout)
    assert.strictEqual(runs.length, 6)
    for (const { event, published, tokensPerSecond } of runs) {
      assert.strictEqual(event, "run")
      assert.approximately((tokensPerSecond as { mean: number }).mean, Number(published), 0.12)
    }
  }, 60_000)
  it("says what is wrong with a file", async () => {
    const error = await swarm("simulate", scenario("machines.json")).then(
      () => undefined,
      (cause: unknown) => cause
    )
    assert.match(String((error as { stderr: string }).stderr), /machines\.json: "name" is missing/)
  }, 60_000)
})

describe("swarm plan", () => {
  it("says what each machine would hold, and whether a swarm is worthwhile", async () => {
    const { stdout } = await swarm("plan", "--model", "tiny", "--machines", scenario("machines.json"), "--json")
    const [plan] = lines(stdout)
    assert.isDefined(plan)
    assert.strictEqual(plan.event, "plan")
    assert.strictEqual(plan.verdict, "alone")
    assert.strictEqual((plan.machines as ReadonlyArray<unknown>).length, 4)
  }, 60_000)
})
