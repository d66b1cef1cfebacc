/**
 * A model with the shapes of Llama-3.2-1B and random Q4_0 blocks: nobody need download it, llama.cpp reads it, and it
 * is as fast as the real one. Its text is noise.
 * @module
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { encodeFloats } from "@swarm/tensor"
import { type Tensor, type Value, writeGguf } from "./gguf.ts"

/** The shapes; https://huggingface.co/meta-llama/Llama-3.2-1B/blob/main/config.json */
const SHAPE = { hidden: 2048, feedForward: 8192, heads: 32, kvHeads: 8, blocks: 16, context: 2048 } as const
const F32 = 0
/** 32 weights in 18 bytes: an f16 scale, then two 4-bit values a byte. */
const Q4_0 = 2
const BLOCK = { weights: 32, bytes: 18 } as const
/** Bytes of a piece of a tensor: whole blocks, whole words. */
const PIECE = BLOCK.bytes * 65_536
const SEED = 2_463_534_242
/** Smallest vocabulary: control tokens, the line break, and what the one merge needs. */
const LEAST = 8

/** Name of the file with so large a vocabulary. */
export const fileName = (vocabulary: number): string => `synthetic-1b-q4_0-v${vocabulary}.gguf`

/**
 * Writes the model; the same bytes everywhere. 0.55 GB and 1.2 KB for each token of the vocabulary; holds one piece in
 * memory. `vocabulary`: 8 and up; the real model has 128,256. Throws `RangeError` for less than 8.
 */
export const writeSynthetic = (file: string, vocabulary: number): void => {
  if (!Number.isSafeInteger(vocabulary) || vocabulary < LEAST)
    throw new RangeError(`A vocabulary has at least ${LEAST} tokens: got ${vocabulary}`)
  const random = xorshift32(SEED)
  fs.mkdirSync(path.dirname(path.resolve(file)), { recursive: true })
  writeGguf(file, metadataOf(vocabulary), tensorsOf(vocabulary, random))
}

/** Marsaglia, "Xorshift RNGs", 2003, section 4. */
const xorshift32 = (seed: number) => {
  let state = seed
  return (): number => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state >>> 0
  }
}

const metadataOf = (vocabulary: number): ReadonlyArray<readonly [string, Value]> => {
  const uint32 = (value: number): Value => ({ type: "uint32", value })
  const float32 = (value: number): Value => ({ type: "float32", value })
  const string = (value: string): Value => ({ type: "string", value })
  const control = ["<unk>", "<s>", "</s>"]
  const tokens = [...control, "Ċ", "t", "h", "th"]
  for (let id = tokens.length; id < vocabulary; id++) tokens.push(`token${id}`)
  return [
    ["general.architecture", string("llama")],
    ["general.name", string("synthetic 1B")],
    ["llama.context_length", uint32(SHAPE.context)],
    ["llama.embedding_length", uint32(SHAPE.hidden)],
    ["llama.block_count", uint32(SHAPE.blocks)],
    ["llama.feed_forward_length", uint32(SHAPE.feedForward)],
    ["llama.attention.head_count", uint32(SHAPE.heads)],
    ["llama.attention.head_count_kv", uint32(SHAPE.kvHeads)],
    ["llama.attention.layer_norm_rms_epsilon", float32(1e-5)],
    ["llama.rope.dimension_count", uint32(SHAPE.hidden / SHAPE.heads)],
    ["llama.rope.freq_base", float32(500_000)],
    ["llama.vocab_size", uint32(vocabulary)],
    ["tokenizer.ggml.model", string("gpt2")],
    ["tokenizer.ggml.pre", string("gpt-2")],
    ["tokenizer.ggml.tokens", { type: "strings", value: tokens }],
    ["tokenizer.ggml.token_type", { type: "int32s", value: tokens.map((_, id) => (id < control.length ? 3 : 1)) }],
    ["tokenizer.ggml.merges", { type: "strings", value: ["t h"] }],
    ["tokenizer.ggml.bos_token_id", uint32(1)],
    ["tokenizer.ggml.eos_token_id", uint32(2)]
  ]
}

/** In the order of the file. There is no output matrix: it is the embedding, as in the real model. */
const tensorsOf = (vocabulary: number, random: () => number): ReadonlyArray<Tensor> => {
  const { hidden, feedForward, heads, kvHeads, blocks } = SHAPE
  const kv = (kvHeads * hidden) / heads
  const norm = (name: string): Tensor => ({
    name: `${name}.weight`,
    dimensions: [hidden],
    type: F32,
    bytes: 4 * hidden,
    data: () => [new Uint8Array(new Float32Array(hidden).fill(1).buffer)]
  })
  const matrix = (name: string, rows: number, columns: number): Tensor => {
    const bytes = (rows * columns * BLOCK.bytes) / BLOCK.weights
    return { name: `${name}.weight`, dimensions: [columns, rows], type: Q4_0, bytes, data: () => q4(bytes, columns) }
  }
  /** Values are even over -8..7, so of 4.6 in the mean square: this scale keeps the size of activations about the same. */
  const q4 = function* (bytes: number, columns: number) {
    const scale = new Uint8Array(encodeFloats("f16", Float32Array.of(1 / (4 * Math.sqrt(columns)))).buffer)
    const words = new Uint32Array(PIECE / 4)
    const piece = new Uint8Array(words.buffer)
    for (let left = bytes; left > 0; left -= PIECE) {
      for (let i = 0; i < words.length; i++) words[i] = random()
      for (let at = 0; at < PIECE; at += BLOCK.bytes) piece.set(scale, at)
      yield piece.subarray(0, Math.min(left, PIECE))
    }
  }
  const block = (index: number): ReadonlyArray<Tensor> => {
    const at = (name: string) => `blk.${index}.${name}`
    return [
      norm(at("attn_norm")),
      matrix(at("attn_q"), hidden, hidden),
      matrix(at("attn_k"), kv, hidden),
      matrix(at("attn_v"), kv, hidden),
      matrix(at("attn_output"), hidden, hidden),
      norm(at("ffn_norm")),
      matrix(at("ffn_gate"), feedForward, hidden),
      matrix(at("ffn_up"), feedForward, hidden),
      matrix(at("ffn_down"), hidden, feedForward)
    ]
  }
  return [
    matrix("token_embd", vocabulary, hidden),
    ...Array.from({ length: blocks }, (_, index) => block(index)).flat(),
    norm("output_norm")
  ]
}
