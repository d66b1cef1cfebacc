/**
 * Writes a GGUF with the shapes of Llama-3.2-1B and random Q4_0 blocks, which llama.cpp reads too.
 * usage: node --import tsx --conditions=swarm-src bench/synthetic.ts OUT.gguf
 * @module
 */
import * as fs from "node:fs"

const SHAPE = { hidden: 2048, feedForward: 8192, heads: 32, kvHeads: 8, blocks: 16, vocabulary: 128 }
const ALIGNMENT = 32
const Q4_0 = 2
const F32 = 0

const out = process.argv[2]
if (out === undefined) throw new Error("usage: synthetic.ts OUT.gguf")

const chunks: Array<Uint8Array> = []
const push = (bytes: Uint8Array) => chunks.push(bytes)
const number = (bytes: number, write: (view: DataView) => void) => {
  const buffer = new ArrayBuffer(bytes)
  write(new DataView(buffer))
  push(new Uint8Array(buffer))
}
const u32 = (value: number) => number(4, (view) => view.setUint32(0, value, true))
const u64 = (value: number) => number(8, (view) => view.setBigUint64(0, BigInt(value), true))
const f32 = (value: number) => number(4, (view) => view.setFloat32(0, value, true))
const text = (value: string) => {
  const bytes = new TextEncoder().encode(value)
  u64(bytes.length)
  push(bytes)
}
let keys = 0
const key = (name: string, type: number, write: () => void) => {
  keys++
  text(name)
  u32(type)
  write()
}
const integer = (name: string, value: number) => key(name, 4, () => u32(value))
const float = (name: string, value: number) => key(name, 6, () => f32(value))
const words = (name: string, values: ReadonlyArray<string>) =>
  key(name, 9, () => {
    u32(8)
    u64(values.length)
    for (const value of values) text(value)
  })

const letters = [
  ...Array.from({ length: 94 }, (_, i) => String.fromCharCode(33 + i)),
  ...Array.from({ length: 95 }, (_, i) => String.fromCharCode(161 + i))
]
const tokens = ["<unk>", "<s>", "</s>", "Ġ", "Ċ", "th", "Ġa", ...letters].slice(0, SHAPE.vocabulary)
key("general.architecture", 8, () => text("llama"))
key("general.name", 8, () => text("synthetic 1B"))
integer("llama.context_length", 2048)
integer("llama.embedding_length", SHAPE.hidden)
integer("llama.block_count", SHAPE.blocks)
integer("llama.feed_forward_length", SHAPE.feedForward)
integer("llama.attention.head_count", SHAPE.heads)
integer("llama.attention.head_count_kv", SHAPE.kvHeads)
integer("llama.rope.dimension_count", SHAPE.hidden / SHAPE.heads)
float("llama.rope.freq_base", 500000)
float("llama.attention.layer_norm_rms_epsilon", 1e-5)
integer("llama.vocab_size", SHAPE.vocabulary)
key("tokenizer.ggml.model", 8, () => text("gpt2"))
key("tokenizer.ggml.pre", 8, () => text("gpt-2"))
words("tokenizer.ggml.tokens", tokens)
words("tokenizer.ggml.merges", ["t h", "Ġ a"])
key("tokenizer.ggml.token_type", 9, () => {
  u32(5)
  u64(tokens.length)
  for (let i = 0; i < tokens.length; i++) number(4, (view) => view.setInt32(0, i < 3 ? 3 : 1, true))
})
integer("tokenizer.ggml.bos_token_id", 1)
integer("tokenizer.ggml.eos_token_id", 2)
const metadata = chunks.splice(0)

interface Tensor {
  readonly name: string
  readonly rows: number
  readonly columns: number
  readonly type: number
}
const { hidden, feedForward, heads, kvHeads } = SHAPE
const kv = (kvHeads * hidden) / heads
const matrix = (name: string, rows: number, columns: number): Tensor => ({
  name: `${name}.weight`,
  rows,
  columns,
  type: Q4_0
})
const vector = (name: string): Tensor => ({ name: `${name}.weight`, rows: 1, columns: hidden, type: F32 })
const tensors: Array<Tensor> = [matrix("token_embd", SHAPE.vocabulary, hidden)]
for (let block = 0; block < SHAPE.blocks; block++) {
  const at = (name: string) => `blk.${block}.${name}`
  tensors.push(vector(at("attn_norm")), vector(at("ffn_norm")))
  tensors.push(
    matrix(at("attn_q"), hidden, hidden),
    matrix(at("attn_k"), kv, hidden),
    matrix(at("attn_v"), kv, hidden),
    matrix(at("attn_output"), hidden, hidden)
  )
  tensors.push(
    matrix(at("ffn_gate"), feedForward, hidden),
    matrix(at("ffn_up"), feedForward, hidden),
    matrix(at("ffn_down"), hidden, feedForward)
  )
}
tensors.push(vector("output_norm"))
const bytesOf = ({ rows, columns, type }: Tensor) => (type === F32 ? 4 * rows * columns : (rows * columns * 18) / 32)
let offset = 0
for (const tensor of tensors) {
  text(tensor.name)
  const dims = tensor.type === F32 ? [tensor.columns] : [tensor.columns, tensor.rows]
  u32(dims.length)
  for (const dim of dims) u64(dim)
  u32(tensor.type)
  u64(offset)
  offset += Math.ceil(bytesOf(tensor) / ALIGNMENT) * ALIGNMENT
}
const infos = chunks.splice(0)
push(new TextEncoder().encode("GGUF"))
u32(3)
u64(tensors.length)
u64(keys)
const header = Buffer.concat([...chunks.splice(0), ...metadata, ...infos])

const file = fs.openSync(out, "w")
const write = (bytes: Uint8Array) => {
  fs.writeSync(file, bytes)
  fs.writeSync(file, new Uint8Array((ALIGNMENT - (bytes.length % ALIGNMENT)) % ALIGNMENT))
}
write(header)
/** xorshift32 (Marsaglia 2003): the same file everywhere. */
let state = 2463534242
const random = () => {
  state ^= state << 13
  state ^= state >>> 17
  state ^= state << 5
  return state >>> 0
}
/** Bits of 1 / (4 sqrt(columns)) as f16; columns are powers of four here, so it is exact. */
const scaleBits = (columns: number) => (15 + Math.round(Math.log2(1 / (4 * Math.sqrt(columns))))) << 10
for (const tensor of tensors) {
  if (tensor.type === F32) {
    write(new Uint8Array(new Float32Array(tensor.columns).fill(1).buffer))
    continue
  }
  const data = new Uint8Array(bytesOf(tensor))
  const numbers = new Uint32Array(data.buffer, 0, data.length >> 2)
  for (let i = 0; i < numbers.length; i++) numbers[i] = random()
  const scale = scaleBits(tensor.columns)
  for (let at = 0; at < data.length; at += 18) {
    data[at] = scale & 255
    data[at + 1] = scale >> 8
  }
  write(data)
}
fs.closeSync(file)
console.log(`${out}: ${(fs.statSync(out).size / 1e6).toFixed(0)} MB`)
