/**
 * Matrix products of ggml, the library below llama.cpp, on one thread: its calls bound one by one, without llama.cpp.
 * @see https://github.com/ggml-org/ggml/blob/master/include/ggml.h
 * @module
 */
import * as path from "node:path"
import koffi from "koffi"
import { llamaCppLibraries } from "./llamaCpp.ts"

/** A pointer of the library. */
type Pointer = unknown

/** Products of `x` with some matrices of equal shape, so that their weights do not stay in the processor's caches. */
interface Products {
  /** Computes x Wᵀ for every W. */
  readonly run: () => void
  /** ggml holds the weights in another order than the file, which its fastest kernels need. */
  readonly repacked: boolean
  /** Values of the first product. */
  readonly first: () => Float32Array
  readonly free: () => void
}

/** The library. */
export interface Ggml {
  /** The library's variant for this processor, such as "zen4". */
  readonly variant: string
  /**
   * `copies` matrices (outFeatures, inFeatures) of blocks of `type` (ggml's number), all of the same bytes, and
   * x: f32 (rows, inFeatures).
   */
  readonly products: (
    weights: { readonly type: number; readonly bytes: Uint8Array; readonly shape: readonly [number, number] },
    copies: number,
    x: Float32Array
  ) => Products
}

/** `enum ggml_backend_dev_type` */
const CPU = 0
const F32 = 0
/** Room for the descriptions of tensors and of a graph. */
const CONTEXT_BYTES = 4 * 2 ** 20

/** Loads the variant that fits the processor. Throws `Error` where there is none. */
export const loadGgml = (): Ggml => {
  const folder = llamaCppLibraries()
  const base = koffi.load(path.join(folder.path, folder.base), { global: true })
  const backends = koffi.load(path.join(folder.path, folder.backends), { global: true })
  const parameters = koffi.struct({ bytes: "size_t", buffer: "void*", unallocated: "bool" })
  const init = base.func("ggml_init", "void*", [parameters])
  const bind = (name: string, result: string, ...of: ReadonlyArray<string>) => base.func(name, result, [...of])
  const freeContext = bind("ggml_free", "void", "void*")
  const tensor = bind("ggml_new_tensor_2d", "void*", "void*", "int", "int64_t", "int64_t")
  const multiply = bind("ggml_mul_mat", "void*", "void*", "void*", "void*")
  const newGraph = bind("ggml_new_graph", "void*", "void*")
  const expand = bind("ggml_build_forward_expand", "void", "void*", "void*")
  const compute = bind("ggml_backend_graph_compute", "int", "void*", "void*")
  const allocate = bind("ggml_backend_alloc_ctx_tensors_from_buft", "void*", "void*", "void*")
  const freeBuffer = bind("ggml_backend_buffer_free", "void", "void*")
  const set = bind("ggml_backend_tensor_set", "void", "void*", "void*", "size_t", "size_t")
  const get = bind("ggml_backend_tensor_get", "void", "void*", "void*", "size_t", "size_t")
  const supports = bind("ggml_backend_dev_supports_op", "bool", "void*", "void*")
  const plain = bind("ggml_backend_dev_buffer_type", "void*", "void*")
  const procedure = bind("ggml_backend_reg_get_proc_address", "void*", "void*", "str")

  let variant = "?"
  const log = koffi.proto("void ggml_log(int level, str text, void *data)")
  const listen = (_: number, text: string) => {
    variant = /loaded CPU backend from .*ggml-cpu-?(.*)\.\w+\s/.exec(text)?.[1] ?? variant
  }
  bind("ggml_log_set", "void", "void*", "void*")(koffi.register(listen, koffi.pointer(log)), null)
  backends.func("ggml_backend_load_all_from_path", "void", ["str"])(folder.path)
  const device: Pointer = backends.func("ggml_backend_dev_by_type", "void*", ["int"])(CPU)
  if (device === null) throw new Error(`No variant of ggml in "${folder.path}" fits this processor`)
  const registry: Pointer = bind("ggml_backend_dev_backend_reg", "void*", "void*")(device)
  const backend: Pointer = bind("ggml_backend_dev_init", "void*", "void*", "str")(device, null)
  const call = (name: string, result: string, types: ReadonlyArray<string>, ...values: ReadonlyArray<unknown>) =>
    koffi.call(procedure(registry, name), koffi.proto(name, result, [...types]), ...values)
  call("ggml_backend_set_n_threads", "void", ["void*", "int"], backend, 1)
  const extra: Pointer = call("ggml_backend_dev_get_extra_bufts", "void*", ["void*"], device)
  const repacking: Array<Pointer> = []
  for (let at = 0; extra !== null; at++) {
    const bufferType: Pointer = koffi.decode(extra, at * koffi.sizeof("void*"), "void*")
    if (bufferType === null) break
    repacking.push(bufferType)
  }

  const context = (): Pointer => init({ bytes: CONTEXT_BYTES, buffer: null, unallocated: true })
  const products: Ggml["products"] = ({ type, bytes, shape: [outFeatures, inFeatures] }, copies, x) => {
    const rows = x.length / inFeatures
    const activations = context()
    const input: Pointer = tensor(activations, F32, inFeatures, rows)
    const build = (bufferType: Pointer) => {
      const held = context()
      const weights: ReadonlyArray<Pointer> = Array.from({ length: copies }, () =>
        tensor(held, type, inFeatures, outFeatures)
      )
      const buffer: Pointer = allocate(held, bufferType)
      if (buffer === null) throw new Error(`ggml has no memory for ${copies} matrices of type ${type}`)
      const results: ReadonlyArray<Pointer> = weights.map((matrix) => multiply(activations, matrix, input))
      const free = () => {
        freeBuffer(buffer)
        freeContext(held)
      }
      return { weights, results, free, fits: results.every((result) => supports(device, result)) }
    }
    // as llama.cpp chooses: the first kind of buffer whose kernels take the product
    const tried = repacking.map((bufferType) => ({ ...build(bufferType), repacked: true }))
    const fitting = tried.find(({ fits }) => fits)
    for (const attempt of tried) if (attempt !== fitting) attempt.free()
    const chosen = fitting ?? { ...build(plain(device)), repacked: false }
    for (const matrix of chosen.weights) set(matrix, bytes, 0, bytes.byteLength)
    const graph: Pointer = newGraph(activations)
    for (const result of chosen.results) expand(graph, result)
    const buffer: Pointer = allocate(activations, plain(device))
    set(input, x, 0, x.byteLength)
    return {
      repacked: chosen.repacked,
      run: () => {
        const status = Number(compute(backend, graph))
        if (status !== 0) throw new Error(`ggml computes nothing: status ${status}`)
      },
      first: () => {
        const out = new Float32Array(rows * outFeatures)
        get(chosen.results[0], out, 0, out.byteLength)
        return out
      },
      free: () => {
        freeBuffer(buffer)
        chosen.free()
        freeContext(activations)
      }
    }
  }
  return { variant, products }
}
