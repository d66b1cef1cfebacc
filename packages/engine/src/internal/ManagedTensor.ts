/**
 * The life of a tensor, whichever layer holds it.
 * @module
 */
import { countElements, type ElementType, elementBytes } from "@swarm/tensor"
import type { DeviceTensor, HostArray } from "../Engine.ts"

/** A tensor whose memory outlives the runs that use it: freed during a run, it goes when the run ends. */
export abstract class ManagedTensor implements DeviceTensor {
  readonly type: ElementType
  readonly shape: ReadonlyArray<number>
  readonly bytes: number
  abstract readonly data: HostArray | undefined
  #freed = false
  #runs = 0

  constructor(type: ElementType, shape: ReadonlyArray<number>) {
    this.type = type
    this.shape = [...shape]
    this.bytes = countElements(shape) * elementBytes(type)
  }

  /** Gives the memory back. Called once. */
  protected abstract destroy(): void

  get freed(): boolean {
    return this.#freed
  }

  /** A run begins to use the tensor. */
  hold(): void {
    this.#runs++
  }

  /** A run has ended. */
  release(): void {
    this.#runs--
    if (this.#freed && this.#runs === 0) this.destroy()
  }

  readonly free = (): void => {
    if (this.#freed) return
    this.#freed = true
    if (this.#runs === 0) this.destroy()
  }
}
