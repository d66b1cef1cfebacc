/**
 * Sequential reading of a file's header through a small window, refusing to go past the end.
 * @module
 */
import { FormatError, readAt } from "@swarm/tensor"

const WINDOW = 1 << 18

/** Reads little-endian fields one after the other. Every method throws `FormatError` at the end of the file. */
export class HeaderReader {
  readonly #fd: number
  readonly #file: string
  readonly #size: number
  #window: Buffer = Buffer.alloc(0)
  /** File offset of the window's first byte. */
  #start = 0
  /** Next byte, as an index into the window. */
  #at = 0

  constructor(fd: number, file: string, size: number, position = 0) {
    this.#fd = fd
    this.#file = file
    this.#size = size
    this.#start = position
  }

  /** File offset of the next byte. */
  get position(): number {
    return this.#start + this.#at
  }

  /** Bytes from here to the end of the file. */
  get remaining(): number {
    return this.#size - this.position
  }

  fail(detail: string): FormatError {
    return new FormatError({ file: this.#file, detail: `${detail} (at byte ${this.position})` })
  }

  u8(): number {
    const at = this.#take(1)
    return this.#window.readUInt8(at)
  }
  i8(): number {
    const at = this.#take(1)
    return this.#window.readInt8(at)
  }
  u16(): number {
    const at = this.#take(2)
    return this.#window.readUInt16LE(at)
  }
  i16(): number {
    const at = this.#take(2)
    return this.#window.readInt16LE(at)
  }
  u32(): number {
    const at = this.#take(4)
    return this.#window.readUInt32LE(at)
  }
  i32(): number {
    const at = this.#take(4)
    return this.#window.readInt32LE(at)
  }
  f32(): number {
    const at = this.#take(4)
    return this.#window.readFloatLE(at)
  }
  f64(): number {
    const at = this.#take(8)
    return this.#window.readDoubleLE(at)
  }
  /** A 64-bit integer: a number where that is exact, else a bigint. */
  i64(signed: boolean): number | bigint {
    const at = this.#take(8)
    const value = signed ? this.#window.readBigInt64LE(at) : this.#window.readBigUInt64LE(at)
    const number = Number(value)
    return Number.isSafeInteger(number) ? number : value
  }

  /** A 64-bit count of at most `limit`. `what` names it in the error. */
  count(limit: number, what: string): number {
    const at = this.#take(8)
    const value = this.#window.readUInt32LE(at + 4) * 2 ** 32 + this.#window.readUInt32LE(at)
    if (value > limit) throw this.fail(`${what} is ${value}, more than the limit of ${limit}`)
    return value
  }

  /** A string: its 64-bit length, at most `limit` bytes, and UTF-8. */
  string(limit: number, what: string): string {
    return this.text(this.count(Math.min(limit, this.remaining), `length of ${what}`))
  }

  /** `length` bytes of UTF-8. */
  text(length: number): string {
    const at = this.#take(length)
    return this.#window.toString("utf8", at, at + length)
  }

  /** `length` fresh bytes. */
  bytes(length: number): ArrayBuffer {
    const at = this.#take(length)
    return new Uint8Array(this.#window.subarray(at, at + length)).buffer
  }

  skipString(limit: number, what: string): void {
    this.skip(this.count(Math.min(limit, this.remaining), `length of ${what}`))
  }

  skip(bytes: number): void {
    if (bytes > this.remaining) throw this.fail(`${bytes} bytes are announced, ${this.remaining} are left`)
    this.#at += bytes
  }

  /** Makes `bytes` bytes available, which may replace the window; returns the window index of the first. */
  #take(bytes: number): number {
    if (this.#at + bytes > this.#window.length) {
      if (bytes > this.remaining) throw this.fail(`the file ends within a field of ${bytes} bytes`)
      this.#start += this.#at
      this.#at = 0
      const length = Math.min(Math.max(WINDOW, bytes), this.#size - this.#start)
      this.#window = Buffer.allocUnsafe(length)
      readAt(this.#fd, this.#window, this.#start)
    }
    this.#at += bytes
    return this.#at - bytes
  }
}
