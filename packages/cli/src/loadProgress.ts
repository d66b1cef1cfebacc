/**
 * How far the weights of a span have been read.
 * @module
 */
import type { Model } from "@swarm/model"

/**
 * The same model; while the weights of one of its spans are read and converted, `onBlock` hears of each block, by the share of the
 * bytes that are done. Weights that are packed already are not read, and nothing is said.
 */
export const withLoadProgress = (model: Model, onBlock: (done: number, of: number) => void): Model => ({
  ...model,
  span: (from, to, options) => {
    const plan = model.span(from, to, options)
    const total = plan.initializers.reduce((sum, { bytes }) => sum + bytes, 0)
    const blocks = to - from
    let read = 0
    let said = 0
    const initializers = plan.initializers.map((initializer) => ({
      ...initializer,
      read: () => {
        const array = initializer.read()
        read += initializer.bytes
        const done = Math.floor((read / total) * blocks)
        if (done > said) onBlock(done, blocks)
        said = done
        return array
      }
    }))
    return { ...plan, initializers }
  }
})
