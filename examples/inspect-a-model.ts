/** Opens a model without reading its weights: blocks, parameters, what a span would take. */
import { blockBytes, kvBytesPerToken, openModel, parameters } from "@swarm/model"
import { Effect } from "effect"

const model = await Effect.runPromise(openModel("tiny"))
const { total, block } = parameters(model.architecture)
console.log(`${model.name}: ${model.blocks} blocks of ${block} parameters, ${total} in all`)
console.log(
  `a block in 4 bits takes ${blockBytes(model.architecture, "q4")} bytes, in 32 bits ${blockBytes(model.architecture, "f32")}`
)
console.log(`a token takes ${kvBytesPerToken(model.architecture)} bytes of KV cache in each block`)
// prints: tiny: 8 blocks of 393600 parameters
// a block in 4 bits takes
// a token takes 512 bytes of KV cache in each block
