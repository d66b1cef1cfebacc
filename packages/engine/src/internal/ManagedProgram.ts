/**
 * The life of a program and its bindings, whichever layer runs them.
 * @module
 */
import type { Binding, DeviceTensor, Program } from "../Engine.ts"
import { RunError } from "../EngineError.ts"
import type { ManagedTensor } from "./ManagedTensor.ts"

export type Kind = "input" | "output"

/** What a layer does for one binding. */
interface Backend<T extends ManagedTensor> {
  /** Whether the tensor is of this engine. */
  readonly owns: (tensor: DeviceTensor) => tensor is T
  readonly attach: (kind: Kind, name: string, tensor: T) => void
  /** Rejects with the runtime's own error. */
  readonly run: (blocking: boolean) => Promise<void>
  readonly destroy: () => void
}

/** What a layer does for one program. */
export interface ProgramBackend<T extends ManagedTensor> {
  readonly inputs: ReadonlyArray<string>
  readonly outputs: ReadonlyArray<string>
  readonly bind: () => Backend<T>
  /** Called once, when no run is in flight and no binding is left. */
  readonly destroy: () => Promise<void> | void
}

type Names = Readonly<Record<Kind, ReadonlySet<string>>>

class ManagedBinding<T extends ManagedTensor> implements Binding {
  readonly #backend: Backend<T>
  readonly #names: Names
  readonly #ended: (binding: ManagedBinding<T>) => void
  readonly #bound: Readonly<Record<Kind, Map<string, T>>> = { input: new Map(), output: new Map() }
  #running: Promise<void> | undefined
  #closed = false

  constructor(backend: Backend<T>, names: Names, ended: (binding: ManagedBinding<T>) => void) {
    this.#backend = backend
    this.#names = names
    this.#ended = ended
  }

  readonly input = (name: string, tensor: DeviceTensor): void => this.#bind("input", name, tensor)
  readonly output = (name: string, tensor: DeviceTensor): void => this.#bind("output", name, tensor)

  #bind(kind: Kind, name: string, tensor: DeviceTensor): void {
    const bound = this.#bound[kind]
    if (bound.get(name) === tensor) return
    if (!this.#names[kind].has(name))
      throw new RangeError(`Cannot bind ${kind} "${name}": the graph has no such ${kind}`)
    if (!this.#backend.owns(tensor)) throw new TypeError(`Cannot bind "${name}": the tensor is of another engine`)
    if (tensor.freed) throw new TypeError(`Cannot bind "${name}": the tensor is freed`)
    if (this.#closed) throw new TypeError(`Cannot bind "${name}": the binding is closed`)
    if (this.#running !== undefined) throw new TypeError(`Cannot bind "${name}": the binding is running`)
    this.#backend.attach(kind, name, tensor)
    bound.set(name, tensor)
  }

  readonly run = ({ blocking = false }: { readonly blocking?: boolean } = {}): Promise<void> => {
    const obstacle = this.#obstacle()
    if (obstacle !== undefined) return Promise.reject(new RunError({ detail: obstacle }))
    for (const bound of [this.#bound.input, this.#bound.output]) for (const tensor of bound.values()) tensor.hold()
    this.#running = this.#backend.run(blocking).then(this.#end, (error) => {
      this.#end()
      throw new RunError({ detail: (error instanceof Error ? error.message : String(error)).trim() })
    })
    return this.#running
  }

  #obstacle(): string | undefined {
    if (this.#closed) return "the binding is closed"
    if (this.#running !== undefined) return "the binding is running"
    for (const kind of ["input", "output"] as const) {
      const bound = this.#bound[kind]
      for (const [name, tensor] of bound) if (tensor.freed) return `the tensor bound to ${kind} "${name}" is freed`
      if (bound.size === this.#names[kind].size) continue
      for (const name of this.#names[kind]) if (!bound.has(name)) return `no tensor is bound to ${kind} "${name}"`
    }
    return undefined
  }

  readonly #end = (): void => {
    this.#running = undefined
    for (const bound of [this.#bound.input, this.#bound.output]) for (const tensor of bound.values()) tensor.release()
    if (this.#closed) this.#destroy()
  }

  readonly close = (): void => {
    if (this.#closed) return
    this.#closed = true
    if (this.#running === undefined) this.#destroy()
  }

  /** Closes; resolves when a run in flight has ended. */
  async drain(): Promise<void> {
    this.close()
    await this.#running?.catch(() => undefined)
  }

  #destroy(): void {
    this.#backend.destroy()
    this.#ended(this)
  }
}

/** A program whose closing waits for its runs. */
export class ManagedProgram<T extends ManagedTensor> implements Program {
  readonly inputs: ReadonlyArray<string>
  readonly outputs: ReadonlyArray<string>
  readonly #backend: ProgramBackend<T>
  readonly #names: Names
  readonly #bindings = new Set<ManagedBinding<T>>()
  #closed = false

  constructor(backend: ProgramBackend<T>) {
    this.#backend = backend
    this.inputs = backend.inputs
    this.outputs = backend.outputs
    this.#names = { input: new Set(backend.inputs), output: new Set(backend.outputs) }
  }

  readonly bind = (): Binding => {
    if (this.#closed) throw new TypeError("Cannot bind: the program is closed")
    const binding = new ManagedBinding(this.#backend.bind(), this.#names, (ended) => this.#bindings.delete(ended))
    this.#bindings.add(binding)
    return binding
  }

  /** Closes the bindings, waits for runs in flight, and releases what the layer holds. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await Promise.all([...this.#bindings].map((binding) => binding.drain()))
    await this.#backend.destroy()
  }
}
