/**
 * The commands: names, options, and where each is implemented. Nothing heavy is imported here, so that help is quick.
 * @module
 */
import type * as Effect from "effect/Effect"
import { bytes, count, flag, number, type Option, type Parsed, type Spec, text, texts } from "./args.ts"

const json = { json: flag("one JSON object per line on stdout; everything else on stderr") }
const model = {
  model: text(
    'a GGUF file, a folder in Hugging Face layout, a Hub id "owner/name[@revision]", or "tiny" (the embedded model)',
    { value: "REF" }
  )
}
const numerics = {
  weights: text('weight format; "as-is" keeps the checkpoint\'s own blocks (default)', {
    choices: ["as-is", "q4", "q8", "f16", "f32"]
  }),
  group: text("group size of q4 and q8 (default 32)", { choices: ["32", "64", "128"] }),
  activations: text('"int8": fast (default); "f32": exact', { choices: ["int8", "f32"] }),
  threads: count("threads of a run (default 1)", { greatest: 1024 }),
  "one-row": flag(
    "run single tokens as one row: faster alone, but results then depend on how text is cut and who shares a run"
  )
}
const member = {
  identity: text("the key that says who this peer is, made if there is none (serve: default in the config folder)", {
    value: "FILE"
  }),
  invite: text("to a private swarm: the invite, or a file that holds it (see swarm invite)", { value: "INVITE" })
}
const where = {
  join: texts("address of any server of the swarm; may be given several times", { value: "ADDR" }),
  mdns: flag("find libp2p servers of this LAN by multicast, instead of --join or beside it"),
  local: flag("run all blocks in this process"),
  codec: text("activations on the wire (default f16; f32 with --activations f32)", {
    choices: ["f32", "f16", "bf16", "int8", "dynamic8", "int4"]
  }),
  "grace-seconds": number("how long to wait for a server when nobody serves some blocks (default 4)", { least: 0 }),
  ...member
}
const sampling = {
  temperature: number("0: always the likeliest token", { least: 0, value: "T" }),
  "top-p": number("keep the likeliest tokens up to this share of probability", { least: 0, greatest: 1, value: "P" }),
  "top-k": count("keep the K likeliest tokens", { least: 0, value: "K" }),
  "min-p": number("drop tokens less likely than this share of the likeliest", { least: 0, greatest: 1, value: "P" }),
  "repetition-penalty": number("divide the score of tokens that occurred (1: off)", { least: 0 }),
  "frequency-penalty": number("lower the score of tokens for each time that they occurred", { least: -2, greatest: 2 }),
  "presence-penalty": number("lower the score of tokens that occurred", { least: -2, greatest: 2 }),
  seed: count("the same seed gives the same text", { least: 0 })
}

export const serve = {
  name: "serve",
  summary: "Serves a span of a model's blocks to the swarm",
  options: {
    ...model,
    blocks: text('"A:B" (blocks A to B-1), several as "0:10,20:30", or "auto" (default)', { value: "A:B" }),
    "max-blocks": count("with auto: at most so many (default: what fits in free memory)"),
    "balance-seconds": number("with auto: mean time between looks at whether to move (default 60)", { least: 0.1 }),
    listen: text("ws://… or /ip4/…/tcp/… (default ws://127.0.0.1:0); several ranges take the ports from there on", {
      value: "ADDR"
    }),
    announce: texts("address to announce instead of the one listened on", { value: "ADDR" }),
    join: where.join,
    mdns: where.mdns,
    ...member,
    ...numerics,
    "tensor-parallel": count("share each block among N processes of this machine (default 1)", { greatest: 64 }),
    "tensor-parallel-peers": texts("share each block with `swarm rank` at this address; once for each", {
      value: "ADDR"
    }),
    "max-tokens": count("greatest length of a session (default: the model's context, at most 4096)"),
    "kv-memory": bytes("memory for the KV caches of all sessions, such as 2GiB (default: 16 of the longest sessions)"),
    "idle-seconds": number("close a session that is not used for so long (default 600)", { least: 1 }),
    "drain-seconds": number("at SIGTERM, wait so long for sessions to move (default 10)", { least: 0 }),
    parent: flag("end when standard input closes", { hidden: true }),
    ...json
  },
  notes: [
    "On SIGTERM and SIGINT the server takes no new sessions, tells those that run to move, and ends when they have."
  ]
} satisfies Spec

export const bootstrap = {
  name: "bootstrap",
  summary: "A place for peers to meet, and a relay for those behind a NAT",
  options: {
    listen: text("ws://… or /ip4/…/tcp/…; over the latter it relays too", { value: "ADDR" }),
    announce: texts("address to print instead of those of this machine", { value: "ADDR" }),
    join: texts("address of another one, or of any server; may be given several times", { value: "ADDR" }),
    ...member,
    parent: flag("end when standard input closes", { hidden: true }),
    ...json
  },
  notes: [
    "It holds no model. A server that nobody can dial listens through it: --listen ADDR/p2p-circuit, with the",
    "address that this prints. What runs goes on when it ends, and who was met once is remembered."
  ]
} satisfies Spec

export const rank = {
  name: "rank",
  summary: "Computes a share of each block for a server of another machine",
  options: {
    ...model,
    listen: text("address to listen on (default ws://127.0.0.1:0)", { value: "ADDR" }),
    threads: numerics.threads,
    once: flag("end with the first group", { hidden: true }),
    parent: flag("end when standard input closes", { hidden: true }),
    ...json
  },
  notes: ["The server is started with `swarm serve --tensor-parallel-peers ADDR`; it says which blocks, and how."]
} satisfies Spec

export const generate = {
  name: "generate",
  summary: "Continues a text",
  options: {
    ...model,
    ...where,
    prompt: text("the text to continue"),
    ids: text("token ids instead of a text: a JSON array, used as it is", { value: "FILE" }),
    "max-tokens": count("most new tokens (default 128)"),
    "ignore-eos": flag("go on when the model ends"),
    stop: texts("end at this text"),
    ...sampling,
    ...numerics,
    ...json
  },
  notes: [
    "Without --temperature the likeliest token is taken each time. Give --local, or --join with the address of a server."
  ]
} satisfies Spec

export const chat = {
  name: "chat",
  summary: "Talks with a model through its chat template",
  options: {
    ...model,
    ...where,
    system: text("a first message that sets the tone"),
    "max-tokens": count("most tokens of one answer (default 512)"),
    context: count("tokens of the whole conversation (default: the model's context, at most 4096)"),
    ...sampling,
    ...numerics,
    ...json
  },
  notes: [
    "/reset begins anew, /exit ends. Default temperature 0.7, top-p 0.95. From a pipe: one message a line.",
    "When the context is full, the oldest messages are left out, and this is said."
  ]
} satisfies Spec

export const logits = {
  name: "logits",
  summary: "Writes logits (and hidden states) for given token ids",
  options: {
    ...model,
    ...where,
    ids: text("token ids: a JSON array", { value: "FILE" }),
    out: text("file to write: f32 logits (tokens, vocab)", { value: "FILE.safetensors" }),
    hidden: flag(
      "also hidden: f32 (blocks + 1, tokens, hidden), the input of block 0 and the output of each block; needs --local"
    ),
    ...numerics,
    ...json
  }
} satisfies Spec

export const perplexity = {
  name: "perplexity",
  summary: "Measures how well a model predicts a text",
  options: {
    ...model,
    ...where,
    text: text("the text", { value: "FILE" }),
    window: count("tokens of a window (default 512)", { least: 2 }),
    ...numerics,
    ...json
  },
  notes: ["Whole windows from the start without overlap; tokens 1 and on of each window are predicted."]
} satisfies Spec

export const inspect = {
  name: "inspect",
  summary: "Shows what a model is made of and what fits on this machine",
  positional: "REF",
  options: { memory: bytes("memory to plan for, such as 512MB or 2GiB (default: what is free here)"), ...json }
} satisfies Spec

export const quantize = {
  name: "quantize",
  summary: "Writes a model as a quantized checkpoint",
  options: {
    ...model,
    to: text("q4, q8: rounded to nearest; gptq: 4 bits that keep activations close; nf4, int8: as bitsandbytes", {
      choices: ["q4", "q8", "nf4", "int8", "gptq"],
      value: "FORMAT"
    }),
    out: text("the new folder, in Hugging Face layout; an unfinished one is gone on with", { value: "DIR" }),
    group: count("weights that share a scale in q4, q8 and gptq (default 128)", { least: 16 }),
    "act-order": flag("gptq: the features with the greatest inputs first, whatever their group"),
    calibration: text("gptq: a text like those that the model will see", { value: "FILE" }),
    samples: count("gptq: windows of 512 tokens of it (default 16)"),
    ...json
  },
  notes: ["The folder has GPTQ's layout, or that of bitsandbytes for nf4 and int8. It is one more --model."]
} satisfies Spec

export const pull = {
  name: "pull",
  summary: "Downloads the files of a model into the standard Hub cache",
  positional: "REF",
  options: { file: text("of several GGUF files, the one to download", { value: "NAME" }), ...json }
} satisfies Spec

export const bench = {
  name: "bench",
  summary: "Measures prompt and generation speed, in the manner of llama-bench",
  options: {
    ...model,
    swarm: count("start a local chain of N servers instead of one process"),
    streams: count("sessions at once (default 1)"),
    "prompt-tokens": count("tokens of the prompt test (default 512)"),
    "new-tokens": count("tokens of the generation test (default 128)"),
    repetitions: count("rounds (default 3)"),
    ...numerics,
    ...json
  }
} satisfies Spec

export const demo = {
  name: "demo",
  summary: "A swarm on this machine tells a story and loses a server half-way",
  options: {
    ...model,
    prompt: text("how the story begins"),
    "max-tokens": count("length of the story (default 120)", { least: 4 }),
    "kill-at": count("token after which the server is killed (default: half-way through the story)"),
    ...json
  }
} satisfies Spec

export const simulate = {
  name: "simulate",
  summary: "Simulates a swarm in virtual time, as a scenario file says",
  positional: "FILE",
  options: { seed: count("another seed than the file's", { least: 0 }), ...json },
  notes: [
    "examples/scenarios/ has scenarios. Quality: throughput of the slowest block, as a share of all spread evenly."
  ]
} satisfies Spec

export const plan = {
  name: "plan",
  summary: "Predicts what machines would do, and if a swarm is worthwhile",
  options: {
    ...model,
    machines: text("JSON: the machines and the network between them; see examples/scenarios/machines.json", {
      value: "FILE"
    }),
    weights: numerics.weights,
    group: numerics.group,
    activations: numerics.activations,
    threads: numerics.threads,
    "one-row": numerics["one-row"],
    "prompt-tokens": count("tokens before the first new one (default 128)"),
    ...json
  }
} satisfies Spec

export const status = {
  name: "status",
  summary: "Shows who holds which blocks, how fast, and what is missing",
  options: {
    join: where.join,
    watch: flag("show it again and again"),
    every: number("with --watch: seconds in between (default 2)", { least: 0.1 }),
    ...member,
    ...json
  }
} satisfies Spec

export const invite = {
  name: "invite",
  summary: "Makes an invite to a private swarm, or takes some back",
  options: {
    swarm: text("the swarm's key, made if there is none", { value: "FILE" }),
    scope: text('"use" (default) or "serve", which includes it', { choices: ["use", "serve"] }),
    days: number("how long it is good for (default: for ever)", { least: 0.001 }),
    revoke: texts("id of an invite to take back", { value: "ID" }),
    join: texts("with --revoke: a server to tell; it tells the others", { value: "ADDR" }),
    ...json
  },
  notes: [
    "A swarm is private if its servers are started with an invite: then nobody serves or uses it without one.",
    "The list of revoked invites is kept beside the key, in FILE.revoked."
  ]
} satisfies Spec

/** A command with its implementation, imported when it is used. */
export interface Command {
  readonly spec: Spec
  readonly run: (argv: Parsed<Record<string, Option>>) => Promise<Effect.Effect<void, unknown>>
}

const command = <O extends Record<string, Option>>(
  spec: Spec<O>,
  load: () => Promise<{ readonly run: (parsed: Parsed<O>) => Effect.Effect<void, unknown> }>
): Command => ({
  spec,
  // parsed by this very spec
  run: async (parsed) => (await load()).run(parsed as Parsed<O>)
})

/** In the order of help. */
export const commands: ReadonlyArray<Command> = [
  command(demo, () => import("./commands/demo.ts")),
  command(serve, () => import("./commands/serve.ts")),
  command(bootstrap, () => import("./commands/bootstrap.ts")),
  command(rank, () => import("./commands/rank.ts")),
  command(generate, () => import("./commands/generate.ts")),
  command(chat, () => import("./commands/chat.ts")),
  command(logits, () => import("./commands/logits.ts")),
  command(perplexity, () => import("./commands/perplexity.ts")),
  command(status, () => import("./commands/status.ts")),
  command(invite, () => import("./commands/invite.ts")),
  command(inspect, () => import("./commands/inspect.ts")),
  command(quantize, () => import("./commands/quantize.ts")),
  command(pull, () => import("./commands/pull.ts")),
  command(bench, () => import("./commands/bench.ts")),
  command(plan, () => import("./commands/plan.ts")),
  command(simulate, () => import("./commands/simulate.ts"))
]
