/**
 * Rotary embeddings of `config.json` files, in the old and the new spelling.
 * @see {@link https://huggingface.co/docs/transformers/main/en/internal/rope_utils}
 * @module
 */
import { limits, type Rotary, type RotaryScaling } from "../Architecture.ts"
import type { Fields } from "../Fields.ts"
import { Unsupported } from "../ModelError.ts"

/** How a family spells its rotary embedding. */
export interface RotaryOptions {
  readonly interleaved?: boolean
  /** Old names of the base and of the part of each head that is turned. */
  readonly keys?: { readonly base: string; readonly part: string }
  /** The part where the configuration does not say. @default 1 */
  readonly part?: number
  /** The base where the configuration does not say. @default 10000 */
  readonly base?: number
  /** Where the base and the scaling are. @default `rope_parameters`, else `rope_scaling` */
  readonly rope?: Fields | "none"
}

/** `rope_parameters`, or `rope_theta` with `rope_scaling`. */
export const huggingFaceRotary = (
  fields: Fields,
  headDim: number,
  contextLength: number,
  options: RotaryOptions = {}
): Rotary => {
  const { base: baseKey, part: partKey } = options.keys ?? { base: "rope_theta", part: "partial_rotary_factor" }
  const rope = options.rope === "none" ? undefined : (options.rope ?? ropeOf(fields))
  if (rope?.record("full_attention") !== undefined) {
    throw new Unsupported({
      feature: 'A rotary embedding per kind of block in field "rope_parameters"',
      detail: "this family has one for all"
    })
  }
  const base = rope?.positive("rope_theta") ?? fields.positive(baseKey) ?? options.base ?? 10000
  const part = rope?.positive("partial_rotary_factor") ?? fields.positive(partKey) ?? options.part ?? 1
  const dims = Math.trunc(headDim * part)
  if (part > 1 || dims < 2 || dims % 2 !== 0) {
    throw fields.fail(partKey, `is ${part}, which turns ${dims} of ${headDim} dimensions`)
  }
  const scaling = rope && scalingOf(rope, fields, contextLength, dims)
  return { base, dims, interleaved: options.interleaved ?? false, ...(scaling === undefined ? {} : { scaling }) }
}

const ropeOf = (fields: Fields): Fields | undefined => fields.record("rope_parameters") ?? fields.record("rope_scaling")

const kindOf = (rope: Fields): string => rope.string("rope_type") ?? rope.string("type") ?? "default"

const isLong = (rope: Fields): boolean => kindOf(rope) === "longrope" || kindOf(rope) === "su"

const originalContext = (rope: Fields, fields: Fields): number | undefined =>
  rope.size("original_max_position_embeddings", limits.contextLength) ??
  fields.size("original_max_position_embeddings", limits.contextLength)

/**
 * Where frequencies change with the length of the text (LongRoPE), the context up to which they do not: with one set of
 * tables an early token would else be computed in two ways.
 */
export const longRopeContext = (fields: Fields): number | undefined => {
  const rope = ropeOf(fields)
  return rope !== undefined && isLong(rope) ? originalContext(rope, fields) : undefined
}

const scalingOf = (rope: Fields, fields: Fields, contextLength: number, dims: number): RotaryScaling | undefined => {
  const kind = kindOf(rope)
  const factor = () => rope.need("factor", rope.positive("factor"))
  const original = originalContext(rope, fields)
  switch (kind) {
    case "longrope":
    case "su":
      return longRope(rope, contextLength, rope.need("original_max_position_embeddings", original), dims)
    case "default":
    case "dynamic": // changes the base only beyond the context length, where no position of ours lies
      return undefined
    case "linear":
      return { kind, factor: factor() }
    case "llama3":
      return {
        kind,
        factor: factor(),
        lowFrequencyFactor: rope.need("low_freq_factor", rope.positive("low_freq_factor")),
        highFrequencyFactor: rope.need("high_freq_factor", rope.positive("high_freq_factor")),
        originalContext: rope.need("original_max_position_embeddings", original)
      }
    case "yarn":
      return yarn(
        rope,
        rope.positive("factor") ?? contextLength / (original ?? contextLength),
        original ?? contextLength
      )
    default:
      throw new Unsupported({
        feature: `Rotary scaling "${kind}"`,
        detail: "known are linear, dynamic, llama3, yarn and longrope"
      })
  }
}

const yarn = (rope: Fields, factor: number, originalContext: number): RotaryScaling => {
  const magnitude = (weight = 1) => (factor <= 1 ? 1 : 0.1 * weight * Math.log(factor) + 1)
  const mscale = rope.number("mscale")
  const mscaleAll = rope.number("mscale_all_dim")
  const both = mscale !== undefined && mscale !== 0 && mscaleAll !== undefined && mscaleAll !== 0
  return {
    kind: "yarn",
    factor,
    originalContext,
    betaFast: rope.positive("beta_fast") ?? 32,
    betaSlow: rope.positive("beta_slow") ?? 1,
    attentionFactor:
      rope.positive("attention_factor") ?? (both ? magnitude(mscale) / magnitude(mscaleAll) : magnitude()),
    truncate: rope.boolean("truncate") ?? true
  }
}

/** The factors of short texts. */
const longRope = (rope: Fields, contextLength: number, original: number, dims: number): RotaryScaling => {
  const factors = rope.need("short_factor", rope.numbers("short_factor"))
  if (factors.length !== dims / 2) throw rope.fail("short_factor", `has ${factors.length} values for ${dims / 2} pairs`)
  const stretch = contextLength / original
  const usual = stretch <= 1 ? 1 : Math.sqrt(1 + Math.log(stretch) / Math.log(original))
  return { kind: "factors", factors, attentionFactor: rope.positive("attention_factor") ?? usual }
}
