/** Reads the header of a GGUF file: what it says of itself, how a block is stored, and what a kernel will make of it. */
import { fileURLToPath } from "node:url"
import { openGguf } from "@swarm/model"
import { layoutOf } from "@swarm/quant"

const file = openGguf(fileURLToPath(new URL("../test/fixtures/gguf/mixed-q4km/model.gguf", import.meta.url)))
const family = file.metadata.get("general.architecture")
console.log(`${family}, ${file.metadata.get(`${family}.block_count`)} blocks, ${file.tensors.size} tensors`)
for (const { name, type, shape, bytes } of file.tensors.values()) {
  if (!name.startsWith("blk.1.")) continue
  const layout = layoutOf(type)
  const form =
    layout === undefined
      ? "floats"
      : `${layout.bits}-bit codes in blocks of ${layout.blockSize}${layout.hasOffsets ? " with offsets" : ""}`
  console.log(`${name.slice(6)} (${shape.join(", ")}): ${bytes} bytes of ${type} -> ${form}`)
}
// prints: llama, 2 blocks, 20 tensors
// attn_norm.weight (256): 1024 bytes of F32 -> floats
// attn_q.weight (256, 256): 36864 bytes of Q4_K -> 4-bit codes in blocks of 32 with offsets
// attn_v.weight (64, 256): 13440 bytes of Q6_K -> 8-bit codes in blocks of 16
