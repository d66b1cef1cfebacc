// llama.cpp out of the prebuilt library of node-llama-cpp (a variant for each kind of processor, nothing is compiled):
// JSON lines pp512 and tg128. usage: node llamacpp.mjs MODEL.gguf THREADS REPETITIONS   (bench/single.ts installs and calls it)
import path from "node:path"
import { pathToFileURL } from "node:url"

const [, , model, threads, repetitions] = process.argv
const library = path.join(process.env.SWARM_LLAMACPP ?? "", "node_modules/node-llama-cpp/dist/index.js")
const { getLlama } = await import(pathToFileURL(library).href)
const llama = await getLlama({ gpu: false, build: "never", logLevel: "error", maxThreads: Number(threads) })
const loaded = await llama.loadModel({ modelPath: model })
const context = await loaded.createContext({ contextSize: 1024, batchSize: 512, threads: Number(threads) })
const vocabulary = loaded.fileInfo.metadata.tokenizer.ggml.tokens.length
const ids = Array.from({ length: 512 }, (_, i) => (i * 7919) % vocabulary)
const warm = context.getSequence()
await warm.evaluateWithoutGeneratingNewTokens(ids)
warm.dispose()
for (let repetition = 0; repetition < Number(repetitions); repetition++) {
  const sequence = context.getSequence()
  let start = performance.now()
  await sequence.evaluateWithoutGeneratingNewTokens(ids)
  console.log(JSON.stringify({ test: "pp512", tokensPerSecond: 512000 / (performance.now() - start) }))
  await sequence.clearHistory()
  let count = 0
  for await (const _ of sequence.evaluate(ids.slice(0, 1), { temperature: 0, yieldEogToken: true })) {
    if (count === 0) start = performance.now()
    if (++count === 129) break
  }
  console.log(JSON.stringify({ test: "tg128", tokensPerSecond: 128000 / (performance.now() - start) }))
  sequence.dispose()
}
process.exit(0)
