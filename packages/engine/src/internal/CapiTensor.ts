/**
 * Tensors that ONNX Runtime reads and writes in place.
 * @module
 */
import { dataType } from "@swarm/onnx"
import { type ElementType, viewArray } from "@swarm/tensor"
import koffi from "koffi"
import type { HostArray } from "../Engine.ts"
import { ManagedTensor } from "./ManagedTensor.ts"
import type { Ort, Pointer } from "./ort.ts"
import { type Pages, reservePages } from "./pages.ts"

/** What vector units like best. */
const ALIGNMENT = 64

/**
 * A host tensor lies in an `ArrayBuffer`, so its window is safe to touch even after `free`; a resident one in pages of its
 * own.
 */
export class CapiTensor extends ManagedTensor {
  readonly data: HostArray | undefined
  /** The `OrtValue`. */
  readonly value: Pointer
  readonly #ort: Ort
  readonly #pages: Pages | undefined
  readonly #released: (tensor: CapiTensor) => void

  /** @param released is told when the memory is gone */
  constructor(
    ort: Ort,
    type: ElementType,
    shape: ReadonlyArray<number>,
    resident: boolean,
    released: (tensor: CapiTensor) => void
  ) {
    super(type, shape)
    this.#released = released
    this.#ort = ort
    let address: Pointer
    if (resident) {
      this.#pages = reservePages(this.bytes)
      address = this.#pages.address
    } else {
      const buffer = new ArrayBuffer(this.bytes + ALIGNMENT)
      const start = Number(-koffi.address(buffer) & BigInt(ALIGNMENT - 1))
      this.data = viewArray(type, new Uint8Array(buffer, start, this.bytes))
      address = koffi.address(buffer) + BigInt(start)
    }
    const dimensions = this.shape.map(BigInt)
    this.value = ort.make(
      "CreateTensorWithDataAsOrtValue",
      ort.memoryInfo,
      address,
      this.bytes,
      dimensions,
      dimensions.length,
      dataType(type)
    )
  }

  protected destroy(): void {
    this.#ort.release("ReleaseValue", this.value)
    this.#pages?.free()
    this.#released(this)
  }
}
