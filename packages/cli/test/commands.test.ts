import type { ChildProcess } from "node:child_process"
import * as fs from "node:fs"
import * as net from "node:net"
import * as path from "node:path"
import { openModel } from "@swarm/model"
import { openSafetensors, type Safetensors } from "@swarm/tensor"
import * as Effect from "effect/Effect"
import { afterAll, assert, describe, it, vi } from "vitest"
import { FIXTURES, makeCommands, REPOSITORY, SMOLLM2, sentenceOf, TINY } from "./support.ts"

const { folder, start, run, serve, end } = makeCommands()
afterAll(end)
// some tests start five processes, and the machine may be busy
vi.setConfig({ testTimeout: 240_000 })

const inFolder = (name: string) => path.join(folder, name)
const writeIds = (name: string, ids: ReadonlyArray<number>): string => {
  fs.writeFileSync(inFolder(name), JSON.stringify(ids))
  return inFolder(name)
}

const floats = (file: Safetensors, name: string): Float32Array => {
  const { buffer, byteOffset, byteLength } = file.read(name)
  return new Float32Array(buffer.slice(byteOffset, byteOffset + byteLength))
}
const integers = (file: Safetensors, name: string): Array<number> => {
  const { buffer, byteOffset, byteLength } = file.read(name)
  return Array.from(new BigInt64Array(buffer.slice(byteOffset, byteOffset + byteLength)), Number)
}

interface Reference {
  readonly prompt: string
  readonly ids: ReadonlyArray<number>
  readonly greedy_ids: ReadonlyArray<number>
}
/** Greedy continuations of the embedded model as PyTorch computed them. */
const [reference] = JSON.parse(fs.readFileSync(path.join(TINY, "reference.json"), "utf8")) as ReadonlyArray<Reference>
if (reference === undefined) throw new Error("no reference")

describe("usage", () => {
  it("--help lists the commands, within 80 columns", async () => {
    const { code, stdout } = await run(["--help"])
    assert.strictEqual(code, 0)
    for (const name of [
      "demo",
      "serve",
      "generate",
      "chat",
      "logits",
      "perplexity",
      "inspect",
      "quantize",
      "pull",
      "bench"
    ])
      assert.match(stdout, new RegExp(`^  ${name} `, "m"))
    for (const line of stdout.split("\n")) assert.isAtMost(line.length, 80, line)
  })

  it("--version is that of the package", async () => {
    const manifest = JSON.parse(fs.readFileSync(path.join(REPOSITORY, "packages/cli/package.json"), "utf8"))
    assert.strictEqual((await run(["--version"])).stdout, `${manifest.version}\n`)
  })

  const wrong: ReadonlyArray<readonly [args: string, code: number, sentence: RegExp]> = [
    ["nonsense", 2, /no command "nonsense"/],
    ["generate --local --prompt x", 2, /--model is missing/],
    ["generate --model tiny --local --prompt x --max-tokens 1.5", 2, /--max-tokens must be a whole number/],
    ["generate --model tiny --prompt x", 2, /--local, or --join/],
    ["serve --model tiny --blocks 3:99", 2, /A < B <= 8/],
    ["serve --model tiny --tensor-parallel 2 --tensor-parallel-peers ws://127.0.0.1:1", 2, /give either/],
    ["serve --model tiny --blocks 0:4 --tensor-parallel 3", 1, /2 key heads for 3 ranks/],
    ["serve --model tiny --blocks 0:4,4:8 --announce ws://127.0.0.1:1", 2, /--announce takes one range/],
    ["serve --model tiny --blocks 0:4 --listen 127.0.0.1:7000", 1, /Cannot listen on .* not of the form/],
    ["invite --swarm ./new.key --join ws://127.0.0.1:1", 2, /--join is for --revoke/],
    ["invite --swarm ./new.key --days 0", 2, /--days must be a number/],
    ["generate --model ./nowhere.gguf --local --prompt x", 1, /"\.\/nowhere\.gguf"/],
    ["generate --model tiny --local --ids /nowhere.json", 1, /"\/nowhere\.json"/],
    [
      `generate --model ${FIXTURES}/families/bert --local --prompt x`,
      1,
      /bert is an encoder.*cannot be asked to generate/
    ],
    [`serve --model ${FIXTURES}/families/bert`, 1, /bert is an encoder.*cannot be served/],
    [`generate --model ${FIXTURES}/families/gpt2 --local --prompt x`, 1, /there is no "tokenizer.json"/],
    ["quantize --model tiny --to gptq --out ./new", 2, /--calibration is missing/],
    ["quantize --model tiny --to q4 --act-order --out ./new", 2, /--act-order and --calibration are for --to gptq/],
    ["quantize --model tiny --to q4 --out .", 1, /it holds something else/],
    ["bench --model tiny --prompt-tokens 5000", 1, /context of 1024 tokens/],
    ["bench --model tiny --swarm 9", 2, /--swarm must be at most 8/]
  ]
  for (const [args, code, sentence] of wrong)
    it(`swarm ${args}: exit ${code}, one sentence`, async () => {
      const ended = await run(args.split(" "))
      assert.match(sentenceOf(ended), sentence)
      assert.strictEqual(ended.code, code)
    })

  const endless = ["generate", "--model=tiny", "--local", "--prompt=One", "--ignore-eos", "--max-tokens=1000", "--json"]

  /** Starts to generate on the calling thread and does something at the first output. */
  const atFirstToken = async (act: (child: ChildProcess) => void) => {
    const child = start(endless)
    let stderr = ""
    let tokens = 0
    child.stderr?.setEncoding("utf8").on("data", (piece: string) => {
      stderr += piece
    })
    child.stdout?.once("data", () => act(child))
    child.stdout?.setEncoding("utf8").on("data", (piece: string) => {
      tokens += piece.split("\n").length - 1
    })
    const code = await new Promise((resolve) => child.once("close", resolve))
    return { code, stderr, tokens }
  }

  it("serve finds its port taken before it loads anything", async () => {
    const other = net.createServer()
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve))
    try {
      const { port } = other.address() as net.AddressInfo
      const ended = await run(["serve", "--model", "tiny", "--blocks", "0:4", "--listen", `ws://127.0.0.1:${port}`])
      assert.match(sentenceOf(ended), /EADDRINUSE/)
      assert.strictEqual(ended.code, 1)
    } finally {
      other.close()
    }
  })

  it("ends quietly when who reads its output has gone", async () => {
    const { code, stderr } = await atFirstToken(({ stdout }) => stdout?.destroy())
    assert.deepStrictEqual([code, stderr], [130, ""])
  })

  it.skipIf(process.platform !== "linux")("says in one sentence that its output cannot be written", async () => {
    const full = fs.openSync("/dev/full", "w")
    const child = start(endless, ["ignore", full, "pipe"])
    let stderr = ""
    child.stderr?.setEncoding("utf8").on("data", (piece: string) => {
      stderr += piece
    })
    const code = await new Promise((resolve) => child.once("close", resolve))
    fs.closeSync(full)
    assert.deepStrictEqual([code, stderr.split("\n").length], [1, 2], stderr)
    assert.match(stderr, /^swarm: Cannot write the output: ENOSPC/)
  })

  it("ends at SIGINT in the middle of a text", async () => {
    const { code, stderr, tokens } = await atFirstToken((child) => child.kill("SIGINT"))
    assert.deepStrictEqual([code, stderr], [130, ""])
    assert.isBelow(tokens, 1000)
  })
})

describe("a swarm that cannot be reached", () => {
  /** Seconds. Dialling is given up after 5; the rest is for a machine that is busy. */
  const LIMIT = 40

  it("nobody listens", async () => {
    const ended = await run(["generate", "--model", "tiny", "--join", "ws://127.0.0.1:1", "--prompt", "x"], "", LIMIT)
    assert.match(sentenceOf(ended), /"ws:\/\/127\.0\.0\.1:1"/)
    assert.strictEqual(ended.code, 1)
  })

  it("somebody listens and says nothing", async () => {
    const sockets: Array<net.Socket> = []
    const mute = net.createServer((socket) => sockets.push(socket.on("error", () => {})))
    await new Promise<void>((resolve) => mute.listen(0, "127.0.0.1", resolve))
    try {
      const address = `ws://127.0.0.1:${(mute.address() as net.AddressInfo).port}`
      const ended = await run(["generate", "--model", "tiny", "--join", address, "--prompt", "x"], "", LIMIT)
      assert.include(sentenceOf(ended), address)
      assert.strictEqual(ended.code, 1)
    } finally {
      for (const socket of sockets) socket.destroy()
      mute.close()
    }
  })
})

describe("files that are not what they seem", () => {
  const gguf = fs.readFileSync(path.join(FIXTURES, "gguf/q8_0/model.gguf"))
  const family = path.join(FIXTURES, "families/qwen3")
  const safetensors = fs.readFileSync(path.join(family, "model.safetensors"))
  const patched = (file: Buffer, at: number, bytes: Uint8Array) => {
    const copy = Buffer.from(file)
    copy.set(bytes, at)
    return copy
  }
  const huge = new Uint8Array(8).fill(0x7f)
  const cases: ReadonlyArray<readonly [name: string, file: "gguf" | "safetensors", bytes: Buffer]> = [
    ["a GGUF file cut short", "gguf", gguf.subarray(0, gguf.length / 2)],
    ["a GGUF file without its magic", "gguf", patched(gguf, 0, Buffer.from("ZIP!"))],
    ["a GGUF file that claims 10^18 tensors", "gguf", patched(gguf, 8, huge)],
    ["a GGUF file that claims 10^18 fields", "gguf", patched(gguf, 16, huge)],
    ["an empty GGUF file", "gguf", Buffer.alloc(0)],
    ["a safetensors file cut short", "safetensors", safetensors.subarray(0, safetensors.length / 2)],
    ["a safetensors file with a header of 10^18 bytes", "safetensors", patched(safetensors, 0, huge)],
    ["a safetensors file whose header is no JSON", "safetensors", patched(safetensors, 8, Buffer.from("<html>"))]
  ]
  for (const [name, kind, bytes] of cases)
    it(`${name}: exit 1, one sentence that names it`, async () => {
      const at = inFolder(name.replaceAll(/\W/g, "-"))
      fs.mkdirSync(at)
      if (kind === "safetensors") fs.copyFileSync(path.join(family, "config.json"), path.join(at, "config.json"))
      const file = path.join(at, `model.${kind}`)
      fs.writeFileSync(file, bytes)
      const ended = await run(["inspect", kind === "gguf" ? file : at])
      assert.include(sentenceOf(ended), `model.${kind}`)
      assert.strictEqual(ended.code, 1)
    })
})

describe("inspect", () => {
  it("says what the model is made of", async () => {
    const { code, events } = await run(["inspect", "tiny", "--memory", "152MB", "--json"])
    assert.strictEqual(code, 0)
    const [model, ...rest] = events()
    assert.lengthOf(rest, 0)
    const expected = {
      event: "model",
      name: "tiny",
      family: "llama",
      blocks: 8,
      hiddenSize: 192,
      vocabSize: 1024,
      heads: 6,
      kvHeads: 2,
      headDim: 32,
      kvBytesPerTokenPerBlock: 2 * 2 * 32 * 4,
      memory: 152e6
    }
    assert.deepInclude(model, expected)
    const formats = model?.formats as ReadonlyArray<{ format: string; bytesPerBlock: number; blocksThatFit: number }>
    const f32 = formats.find(({ format }) => format === "f32")
    assert.isAtLeast(f32?.bytesPerBlock ?? 0, 4 * Number(model?.parametersPerBlock))
    // the caches of 8 sessions alone take 4.2 MB a block
    assert.strictEqual(f32?.blocksThatFit, 0)
  })
})

describe("generate", () => {
  it("gives the tokens that PyTorch gives, with exact arithmetic", async () => {
    const ids = writeIds("prompt.json", reference.ids)
    const count = 40
    const { code, events } = await run(
      `generate --model tiny --local --ids ${ids} --max-tokens ${count} --weights f32 --activations f32 --json`.split(
        " "
      )
    )
    assert.strictEqual(code, 0)
    const done = events().at(-1)
    assert.deepStrictEqual(done?.ids, reference.greedy_ids.slice(0, count))
    assert.deepInclude(done, {
      event: "done",
      finish: "length",
      recoveries: 0,
      route: [],
      promptTokens: reference.ids.length
    })
    const tokens = events().filter(({ event }) => event === "token")
    assert.deepStrictEqual(
      tokens.map(({ id }) => id),
      done?.ids
    )
    assert.strictEqual(tokens.map(({ text }) => text).join(""), done?.text)
  })

  it("takes ids for a model without a tokenizer", async () => {
    const model = path.join(FIXTURES, "families/mixtral")
    const expected = openSafetensors(path.join(model, "expected.safetensors"))
    const ids = writeIds("mixtral.json", integers(expected, "input_ids"))
    const exact = ["--weights", "f32", "--activations", "f32", "--json", "--max-tokens", "48"]
    const { events } = await run(["generate", "--model", model, "--local", "--ids", ids, ...exact])
    assert.deepStrictEqual(events().at(-1)?.ids, integers(expected, "greedy_ids"))
  })

  it("repeats itself with a seed, and stops where it is told", async () => {
    const args = ["generate", "--model", "tiny", "--local", "--prompt", "Once upon a time", "--json", "--temperature=1"]
    const first = await run([...args, "--seed=7", "--max-tokens=30", "--ignore-eos"])
    const second = await run([...args, "--seed=7", "--max-tokens=30", "--ignore-eos", "--stop=."])
    const [whole, stopped] = [String(first.events().at(-1)?.text), String(second.events().at(-1)?.text)]
    assert.include(whole, ".")
    assert.strictEqual(stopped, whole.slice(0, whole.indexOf(".")))
  })
})

describe("logits", () => {
  const family = path.join(FIXTURES, "families/llama-gqa")
  const expected = openSafetensors(path.join(family, "expected.safetensors"))

  it("and hidden states are those of transformers", async () => {
    const ids = writeIds("family.json", integers(expected, "input_ids"))
    const out = inFolder("family.safetensors")
    const exact = ["--weights", "f32", "--activations", "f32", "--json"]
    const ended = await run(["logits", "--model", family, "--local", "--hidden", "--ids", ids, "--out", out, ...exact])
    assert.strictEqual(ended.code, 0, ended.stderr)
    assert.deepInclude(ended.events().at(-1), { event: "done", tokens: 40, vocab: 192, hidden: true })
    const got = openSafetensors(out)
    for (const name of ["logits", "hidden"]) {
      const [values, wanted] = [floats(got, name), floats(expected, name)]
      assert.strictEqual(values.length, wanted.length)
      const scale = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
      for (const [i, value] of values.entries()) assert.closeTo(value, wanted[i] ?? Number.NaN, 1e-4 * scale)
    }
  })
})

describe("perplexity", () => {
  it("is what the logits say", async () => {
    const text = inFolder("story.txt")
    fs.writeFileSync(text, fs.readFileSync(path.join(TINY, "samples.txt"), "utf8").slice(0, 600))
    const tokenizer = (await Effect.runPromise(openModel("tiny"))).tokenizer()
    const window = 32
    const ids = tokenizer.encode(fs.readFileSync(text, "utf8"), { special: false }).slice(0, window)
    const out = inFolder("story.safetensors")
    const logits = await run(["logits", "--model=tiny", "--local", "--ids", writeIds("story.json", ids), "--out", out])
    assert.strictEqual(logits.code, 0, logits.stderr)
    const { code, events } = await run([
      "perplexity",
      "--model=tiny",
      "--local",
      "--text",
      text,
      `--window=${window}`,
      "--json"
    ])
    assert.strictEqual(code, 0)
    const first = events().find(({ event, window }) => event === "window" && window === 1)
    const done = events().at(-1)
    const rows = floats(openSafetensors(out), "logits")
    const vocab = rows.length / window
    let total = 0
    for (let position = 0; position + 1 < window; position++) {
      const row = rows.subarray(position * vocab, (position + 1) * vocab)
      const sum = row.reduce((so, value) => so + Math.exp(value), 0)
      total -= Math.log(Math.exp(row[ids[position + 1] ?? 0] ?? Number.NaN) / sum)
    }
    assert.closeTo(Number(first?.perplexity), Math.exp(total / (window - 1)), 1e-3)
    assert.strictEqual(done?.predictedTokens, Number(done?.windows) * (window - 1))
    // its own kind of text, a vocabulary of 1024
    assert.isBelow(Number(done?.perplexity), 20)
  })
})

describe("bench", () => {
  it("measures every repetition", async () => {
    const args = "bench --model tiny --prompt-tokens 16 --new-tokens 4 --repetitions 2 --json"
    const { code, events } = await run(args.split(" "))
    assert.strictEqual(code, 0)
    const results = events().filter(({ event }) => event === "result")
    assert.deepStrictEqual(
      results.map(({ test }) => test),
      ["pp16", "tg4", "pp16", "tg4"]
    )
    for (const { tokensPerSecond } of results) assert.isAbove(Number(tokensPerSecond), 0)
  })
})

describe("chat", () => {
  /** The embedded model with a chat template, as a folder. */
  const chatty = (name: string): string => {
    const model = inFolder(name)
    fs.mkdirSync(model)
    for (const file of ["config.json", "generation_config.json", "model.safetensors", "tokenizer.json"])
      fs.copyFileSync(path.join(TINY, file), path.join(model, file))
    const settings = JSON.parse(fs.readFileSync(path.join(TINY, "tokenizer_config.json"), "utf8"))
    const template =
      "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}"
    fs.writeFileSync(
      path.join(model, "tokenizer_config.json"),
      JSON.stringify({ ...settings, chat_template: template })
    )
    return model
  }

  it("needs a chat template", async () => {
    const ended = await run(["chat", "--model", "tiny", "--local", "--json"], "Hello\n")
    assert.match(sentenceOf(ended), /tiny has no chat template/)
    assert.strictEqual(ended.code, 1)
  })

  it("keeps what was said from turn to turn, until /reset", async () => {
    const model = chatty("chatty")
    const lines = "Once there was a dragon.\n\nAnd then?\n/reset\nOnce there was a dragon.\n/exit\nunheard\n"
    const options = ["--temperature=0", "--max-tokens=6", "--json"]
    const { code, events, stderr } = await run(["chat", "--model", model, "--local", ...options], lines)
    assert.strictEqual(code, 0, stderr)
    const [first, second, again, ...rest] = events().filter(({ event }) => event === "answer")
    assert.lengthOf(rest, 0)
    assert.strictEqual(first?.keptTokens, 0)
    // at least the first prompt, which the second conversation begins with
    assert.isAtLeast(Number(second?.keptTokens), Number(first?.promptTokens))
    assert.deepStrictEqual(again?.ids, first?.ids)
    const texts = events()
      .filter(({ event }) => event === "token")
      .map(({ text }) => text)
      .join("")
    assert.strictEqual(texts, [first, second, again].map((answer) => answer?.text).join(""))
  })

  it("goes on when the context is full, without the oldest turns, and says so", async () => {
    const turns = ["Once there was a dragon.", "And then?", "What did the owl say?", "Where did they go?", "Why?"]
    const lines = [...turns.slice(0, 4), "x ".repeat(200), turns[4]].join("\n")
    const options = ["--temperature=0", "--max-tokens=12", "--context=96", "--system=A tale.", "--json"]
    const ended = await run(["chat", "--model", chatty("brief"), "--local", ...options], lines)
    assert.strictEqual(ended.code, 0, ended.stderr)
    const told = ended.events().filter(({ event }) => ["answer", "dropped", "refused"].includes(event))
    assert.lengthOf(
      told.filter(({ event }) => event === "answer"),
      turns.length
    )
    const dropped = told.findIndex(({ event }) => event === "dropped")
    assert.isAbove(dropped, 0)
    // of what stays, only the system's message is at the place where it was
    assert.isBelow(Number(told[dropped + 1]?.keptTokens), Number(told[dropped - 1]?.keptTokens))
    assert.isAbove(Number(told.find(({ event }) => event === "refused")?.promptTokens), 200)
    assert.match(ended.stderr, /of the context's 96 tokens are used: soon the oldest messages will be left out/)
    assert.match(ended.stderr, /the oldest \d messages are left out/)
    assert.match(ended.stderr, /the context holds 96: say it in fewer words/)
  })
})

describe("serve", () => {
  it("serves; SIGTERM and SIGINT make it leave in order", async () => {
    const first = await serve(["--model", "tiny", "--blocks", "0:4"])
    assert.deepInclude(first.online, { blocks: [0, 4], reproducible: true })
    assert.match(first.address, /^ws:\/\/127\.0\.0\.1:\d+$/)
    assert.deepStrictEqual(first.online.addresses, [first.address])
    assert.match(String(first.online.digest), /^[0-9a-f]{16}$/)
    // takes what is not served yet
    const second = await serve(["--model", "tiny", "--join", first.address, "--max-blocks", "4"])
    assert.deepStrictEqual(second.online.blocks, [4, 8])
    const args = [
      "generate",
      "--model",
      "tiny",
      "--prompt",
      reference.prompt,
      "--max-tokens",
      "12",
      "--json",
      "--codec",
      "f32"
    ]
    const alone = (await run([...args, "--local"])).events().at(-1)
    const together = (await run([...args, "--join", first.address])).events().at(-1)
    assert.deepStrictEqual(together?.ids, alone?.ids)
    assert.deepStrictEqual(together?.route, [
      { peer: first.online.peer, blocks: [0, 4] },
      { peer: second.online.peer, blocks: [4, 8] }
    ])
    second.kill("SIGINT")
    assert.strictEqual(await second.ended, 0)
    assert.strictEqual(second.events.at(-1)?.event, "stopped")
    const missing = await run([...args, "--join", first.address, "--grace-seconds", "0"])
    assert.match(sentenceOf(missing), /4:8/)
    assert.strictEqual(missing.code, 1)
    first.kill("SIGTERM")
    assert.strictEqual(await first.ended, 0)
    assert.strictEqual(first.events.at(-1)?.event, "stopped")
  })
})

describe("serve, the first time", () => {
  it("tells how far it has come, block by block", async () => {
    const server = await serve(["--model", "tiny", "--blocks", "2:6", "--weights", "q8"])
    server.kill("SIGTERM")
    await server.ended
    const phases = server.events.map(({ event, phase, done, of }) => ({ event, phase, done, of }))
    const weights = [1, 2, 3, 4].map((done) => ({ event: "progress", phase: "weights", done, of: 4 }))
    assert.deepStrictEqual(phases.slice(1, 7), [
      ...weights,
      { event: "progress", phase: "packing", done: undefined, of: undefined },
      { event: "progress", phase: "measuring", done: undefined, of: undefined }
    ])
    assert.strictEqual(phases[0]?.event, "loading")
    assert.strictEqual(phases[7]?.event, "online")
  })
})

describe("serve with several ranges", () => {
  it("is found whole through the first address, and says that nobody answers at another", async () => {
    const two = await serve(["--model", "tiny", "--blocks", "0:4,4:8", "--join", "ws://127.0.0.1:1"])
    const args = ["generate", "--model=tiny", "--prompt", reference.prompt, "--max-tokens=4", "--json", "--codec=f32"]
    const alone = (await run([...args, "--local"])).events().at(-1)
    const ended = await run([...args, "--join", two.address])
    assert.strictEqual(ended.code, 0, ended.stderr)
    const done = ended.events().at(-1)
    assert.deepStrictEqual(done?.ids, alone?.ids)
    const hops = done?.route as ReadonlyArray<{ readonly blocks: ReadonlyArray<number> }>
    assert.deepStrictEqual(
      hops.map(({ blocks }) => blocks),
      [
        [0, 4],
        [4, 8]
      ]
    )
    two.kill("SIGTERM")
    assert.strictEqual(await two.ended, 0)
    assert.match(two.stderr(), /^Cannot find the swarm through "ws:\/\/127\.0\.0\.1:1": .*; still trying$/m)
  })
})

describe("demo", () => {
  it("loses a server and tells the same story", async () => {
    const { code, events, stderr } = await run(["demo", "--json", "--max-tokens", "24"])
    assert.strictEqual(code, 0, stderr)
    assert.deepInclude(events().at(-1), { event: "done", identical: true, recoveries: 1, tokens: 24 })
    assert.lengthOf(
      events().filter(({ event }) => event === "kill"),
      1
    )
    assert.lengthOf(
      events().filter(({ event }) => event === "server"),
      4
    )
  })

  it("kills half-way through the story that the model tells, however many tokens it might", async () => {
    const { code, events, stderr } = await run(["demo", "--json", "--max-tokens", "600"])
    assert.strictEqual(code, 0, stderr)
    const done = events().at(-1)
    assert.deepInclude(done, { event: "done", identical: true, recoveries: 1 })
    assert.isBelow(Number(done?.tokens), 600)
    const kill = events().find(({ event }) => event === "kill")
    assert.strictEqual(kill?.token, Math.ceil(Number(done?.tokens) / 2))
  })

  it("refuses a story that is over before it begins", async () => {
    const ended = await run(["demo", "--prompt", "The end."])
    assert.strictEqual(ended.code, 1)
    assert.match(ended.stderr, /^swarm: The story ends at once.*\n$/)
  })

  // the prompts whose text in a chain and in one uncut span part before 160 tokens
  for (const prompt of ["Once upon a time there was a brave little dragon", "def fibonacci(n):"])
    it.skipIf(SMOLLM2 === undefined)(`continues "${prompt}" the same with quantized weights`, async () => {
      const args = ["--model", SMOLLM2 ?? "", "--prompt", prompt, "--max-tokens", "160", "--json"]
      const { code, events, stderr } = await run(["demo", ...args])
      assert.strictEqual(code, 0, stderr)
      assert.deepInclude(events().at(-1), { event: "done", identical: true, recoveries: 1 })
    })
})
