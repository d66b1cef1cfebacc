/**
 * Prompt and generation speed of llama.cpp, as JSON lines in the manner of `swarm bench`.
 *
 *     node --import tsx --conditions=swarm-src bench/llamacpp.ts [smollm2|synthetic|FILE.gguf] [--threads 1] [--quick]
 *
 * llama.cpp comes out of the prebuilt library of node-llama-cpp, which has a variant for each kind of processor, so that
 * nothing is compiled. Tokens go to `llama_decode` directly and none is sampled, as in llama-bench: what the library puts
 * around it for texts would cost some tenths of a millisecond a token. One hand-over to another thread and back remains.
 * @module
 */
import { parseArgs } from "node:util"
import { loadLlamaCpp, VERSION } from "./support/llamaCpp.ts"
import { modelFile } from "./support/models.ts"

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    threads: { type: "string", default: "1" },
    repetitions: { type: "string", default: "3" },
    "prompt-tokens": { type: "string", default: "512" },
    "new-tokens": { type: "string", default: "128" },
    quick: { type: "boolean", default: false },
    json: { type: "boolean", default: true }
  }
})
const WARM_TOKENS = 32
const BATCH = 512
const threads = Number(values.threads)
const repetitions = values.quick ? 1 : Number(values.repetitions)
const prompt = values.quick ? 64 : Number(values["prompt-tokens"])
const fresh = values.quick ? 16 : Number(values["new-tokens"])
const print = (line: object) => console.log(JSON.stringify(line))

const llama = await loadLlamaCpp(threads)
const model = await llama.loadModel({ modelPath: modelFile(positionals[0]) })
const { _ctx: calls } = await model.createContext({ contextSize: Math.max(prompt, fresh), batchSize: BATCH, threads })
calls.setThreads(threads)
const vocabulary = model.fileInfo.metadata.tokenizer.ggml.tokens.length
/** As `swarm bench` spreads them. */
const ids = Uint32Array.from({ length: Math.max(prompt, fresh) }, (_, i) => (i * 7919) % vocabulary)

/** Feeds ids [from, to), with the logits of the last. */
const decode = async (from: number, to: number): Promise<void> => {
  calls.initBatch(to - from)
  calls.addToBatch(0, from, ids.subarray(from, to), Uint32Array.of(to - from - 1))
  await calls.decodeBatch()
}

/** Seconds to feed `tokens` ids, `step` at a time, into an empty cache. */
const feed = async (tokens: number, step: number): Promise<number> => {
  const started = performance.now()
  for (let at = 0; at < tokens; at += step) await decode(at, Math.min(at + step, tokens))
  const seconds = (performance.now() - started) / 1000
  calls.disposeSequence(0)
  return seconds
}

print({
  event: "bench",
  runtime: `node-llama-cpp ${VERSION}`,
  llamaCpp: llama.llamaCppRelease.release,
  uses: llama.systemInfo,
  threads
})
await feed(Math.min(WARM_TOKENS, prompt), BATCH)
await feed(Math.min(WARM_TOKENS, fresh), 1)
for (let repetition = 0; repetition < repetitions; repetition++) {
  print({ event: "result", test: `pp${prompt}`, tokensPerSecond: prompt / (await feed(prompt, BATCH)) })
  print({ event: "result", test: `tg${fresh}`, tokensPerSecond: fresh / (await feed(fresh, 1)) })
}
await llama.dispose()
