/**
 * What experts cost that nobody chose: decoding through blocks with 64 experts of which each token takes some, beside dense
 * blocks of as many weights as a token uses. Random weights in q4, int8 activations, one thread.
 *
 *     node --import tsx --conditions=swarm-src bench/experts.ts
 *
 * @module
 */
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { loadSpan } from "@swarm/compute"
import * as Engine from "@swarm/engine"
import { openModel } from "@swarm/model"
import { type TensorToWrite, writeSafetensors } from "@swarm/tensor"
import { Effect } from "effect"

const [hidden, width, experts, blocks, context] = [1024, 256, 64, 2, 256]
const heads = { num_attention_heads: 16, num_key_value_heads: 4, head_dim: 64 }

let state = 1
const random = (length: number, scale: number): Float32Array =>
  Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return (state / 2 ** 31 - 1) * scale
  })

/** Writes a model whose feed-forward is `shape`, with the matrices that `names` gives for a block. */
const write = (shape: object, names: (stem: string) => Iterable<readonly [string, number, number]>): string => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "swarm-experts-"))
  const tensors: Array<TensorToWrite> = []
  const vector = (name: string, length: number) =>
    tensors.push({ name: `${name}.weight`, type: "f32", shape: [length], data: new Float32Array(length).fill(1) })
  const matrix = (name: string, rows: number, columns: number) =>
    tensors.push({ name: `${name}.weight`, type: "f32", shape: [rows, columns], data: random(rows * columns, 0.03) })
  matrix("model.embed_tokens", 64, hidden)
  vector("model.norm", hidden)
  for (let block = 0; block < blocks; block++) {
    const stem = `model.layers.${block}`
    for (const norm of ["input_layernorm", "post_attention_layernorm"]) vector(`${stem}.${norm}`, hidden)
    for (const norm of ["q_norm", "k_norm"]) vector(`${stem}.self_attn.${norm}`, heads.head_dim)
    for (const [name, rows] of [
      ["q", hidden] as const,
      ["k", 256] as const,
      ["v", 256] as const,
      ["o", hidden] as const
    ])
      matrix(`${stem}.self_attn.${name}_proj`, rows, hidden)
    for (const [name, rows, columns] of names(`${stem}.mlp`)) matrix(name, rows, columns)
  }
  writeSafetensors(path.join(folder, "model.safetensors"), tensors)
  const common = { vocab_size: 64, hidden_size: hidden, num_hidden_layers: blocks, max_position_embeddings: 512 }
  fs.writeFileSync(
    path.join(folder, "config.json"),
    JSON.stringify({ ...common, ...heads, ...shape, tie_word_embeddings: true })
  )
  return folder
}

const layers = (stem: string, size: number) =>
  [
    [`${stem}.gate_proj`, size, hidden],
    [`${stem}.up_proj`, size, hidden],
    [`${stem}.down_proj`, hidden, size]
  ] as const

const mixture = (perToken: number) =>
  write(
    {
      ...{ model_type: "qwen3_moe", intermediate_size: width, num_experts: experts, num_experts_per_tok: perToken },
      ...{ moe_intermediate_size: width, norm_topk_prob: true }
    },
    function* (stem) {
      yield [`${stem}.gate`, experts, hidden]
      for (let expert = 0; expert < experts; expert++) yield* layers(`${stem}.experts.${expert}`, width)
    }
  )

const dense = (size: number) => write({ model_type: "qwen3", intermediate_size: size }, (stem) => layers(stem, size))

/** Milliseconds of a token in a block: the lower quartile of 60 behind `context` tokens. */
const decode = (folder: string) =>
  Effect.gen(function* () {
    const model = yield* openModel(folder)
    const span = yield* loadSpan(model, 0, blocks, { weights: "q4", weightFolder: path.join(folder, "packed") })
    const kv = span.open(context + 64)
    yield* Effect.promise(() => span.run([{ kv, position: 0, tokens: context }], random(context * hidden, 1)))
    const times: Array<number> = []
    for (let token = 0; token < 60; token++) {
      const x = random(hidden, 1)
      const started = performance.now()
      yield* Effect.promise(() => span.run([{ kv, position: context + token, tokens: 1 }], x))
      times.push((performance.now() - started) / blocks)
    }
    fs.rmSync(folder, { recursive: true })
    return times.sort((a, b) => a - b)[15] ?? Number.NaN
  }).pipe(Effect.scoped)

await Effect.runPromise(
  Effect.forEach([1, 8, 64], (perToken) =>
    Effect.gen(function* () {
      const [sparse, whole] = [yield* decode(mixture(perToken)), yield* decode(dense(perToken * width))]
      console.log(
        `${perToken} of ${experts} experts: ${sparse.toFixed(2)} ms a block, dense of the same width ${whole.toFixed(2)} ms, ratio ${(sparse / whole).toFixed(2)}`
      )
    })
  ).pipe(Effect.provide(Engine.layer))
)
