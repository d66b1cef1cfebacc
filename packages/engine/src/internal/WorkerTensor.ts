/**
 * Tensors of the binding layer: host tensors in memory that both threads see, resident ones in the worker's.
 * @module
 */
import { type ElementType, viewArray } from "@swarm/tensor"
import type { HostArray } from "../Engine.ts"
import type { BindingType } from "./bindingProtocol.ts"
import { ManagedTensor } from "./ManagedTensor.ts"
import type { BindingWorker } from "./startWorker.ts"

const types: Readonly<Partial<Record<ElementType, BindingType>>> = {
  f32: "float32",
  f64: "float64",
  f16: "float16",
  i8: "int8",
  u8: "uint8",
  i16: "int16",
  u16: "uint16",
  i32: "int32",
  u32: "uint32",
  i64: "int64",
  u64: "uint64",
  bool: "bool"
}

let numbers = 0

export class WorkerTensor extends ManagedTensor {
  readonly data: HostArray | undefined
  /** Its number in the worker. */
  readonly number = numbers++
  readonly worker: BindingWorker

  constructor(worker: BindingWorker, type: ElementType, shape: ReadonlyArray<number>, resident: boolean) {
    super(type, shape)
    const bindingType = types[type]
    if (bindingType === undefined)
      throw new RangeError(`Cannot allocate a tensor of ${type}: the binding has no such type`)
    this.worker = worker
    let memory: SharedArrayBuffer | number = this.bytes
    if (!resident) {
      memory = new SharedArrayBuffer(this.bytes)
      this.data = viewArray(type, new Uint8Array(memory))
    }
    worker.tell({ kind: "tensor", tensor: this.number, type: bindingType, shape: this.shape, memory })
  }

  protected destroy(): void {
    this.worker.tell({ kind: "free", tensor: this.number })
  }
}
