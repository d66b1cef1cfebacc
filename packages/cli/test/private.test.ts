/**
 * Identities, private swarms and `swarm status`, with real processes.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { afterAll, assert, describe, it, vi } from "vitest"
import { makeCommands, sentenceOf } from "./support.ts"

const { folder, run, serve, end } = makeCommands()
afterAll(end)
vi.setConfig({ testTimeout: 240_000 })

const at = (name: string): string => path.join(folder, name)

const invite = async (...args: ReadonlyArray<string>) => {
  const { events } = await run(["invite", "--swarm", at("swarm.pem"), "--json", ...args])
  const [made] = events()
  return { text: String(made?.invite), id: String(made?.id) }
}

/** The array of objects under `name`. */
const listIn = (value: Readonly<Record<string, unknown>> | undefined, name: string) =>
  (value?.[name] ?? []) as ReadonlyArray<Readonly<Record<string, unknown>>>

describe("a private swarm", () => {
  it("lets in who has an invite, to do what it allows, until it is revoked; status shows who is there", async () => {
    const forServers = await invite("--scope", "serve")
    const forUsers = await invite()
    fs.writeFileSync(at("serve.invite"), `${forServers.text}\n`)
    const member = ["--model", "tiny", "--invite", at("serve.invite")]
    const first = await serve([...member, "--blocks", "0:4", "--identity", at("a.pem")])
    const second = await serve([...member, "--blocks", "4:8", "--join", first.address])
    const generate = (...args: ReadonlyArray<string>) =>
      run(["generate", "--model", "tiny", "--prompt", "One day", "--max-tokens", "4", "--join", first.address, ...args])

    const used = await generate("--json", "--invite", forUsers.text)
    assert.strictEqual(used.code, 0, used.stderr)
    assert.lengthOf(listIn(used.events().at(-1), "ids"), 4)
    assert.match(sentenceOf(await generate()), /an invite is needed$/)
    const serving = await run(["serve", "--model", "tiny", "--join", first.address, "--invite", forUsers.text])
    assert.match(sentenceOf(serving), /not to serve$/)

    const status = ["status", "--join", first.address, "--invite", forUsers.text]
    const [seen] = (await run([...status, "--json"])).events()
    const [model] = listIn(seen, "models")
    assert.deepInclude(model, { name: "tiny", blocks: 8, missing: [] })
    assert.deepEqual(
      listIn(model, "servers").map(({ peer, blocks, state }) => [peer, blocks, state]),
      [
        [first.online.peer, [0, 4], "online"],
        [second.online.peer, [4, 8], "online"]
      ]
    )
    second.kill("SIGKILL")
    await second.ended
    const table = (await run(status)).stdout
    assert.match(table, /tiny, 8 blocks, nobody serves 4:8/)

    const revoked = await run(["invite", "--swarm", at("swarm.pem"), "--revoke", forUsers.id, "--join", first.address])
    assert.match(revoked.stdout, new RegExp(`told ${first.address}`))
    assert.match(sentenceOf(await generate("--invite", forUsers.text)), /was revoked$/)

    first.kill("SIGTERM")
    await first.ended
    const again = await serve([...member, "--blocks", "0:4", "--identity", at("a.pem")])
    assert.strictEqual(again.online.peer, first.online.peer)
    assert.strictEqual(fs.statSync(at("a.pem")).mode & 0o777, 0o600)
  })

  it("says what is wrong with keys and invites", async () => {
    fs.writeFileSync(at("open.pem"), "", { mode: 0o644 })
    const cases: ReadonlyArray<readonly [ReadonlyArray<string>, RegExp]> = [
      [["--identity", at("open.pem")], /others may read it: run chmod 600/],
      [["--invite", "swarm-invite-xyz"], /Cannot use the invite/],
      [["--invite", at("missing")], /Cannot use the invite.*no such file/]
    ]
    for (const [args, sentence] of cases) {
      assert.match(sentenceOf(await run(["serve", "--model", "tiny", "--blocks", "0:4", ...args])), sentence)
    }
  })
})
