/**
 * The `swarm` command.
 * @module
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { helpOf, parse, UsageError } from "./args.ts"
import { keepInterruption } from "./keepInterruption.ts"
import { runMain } from "./runMain.ts"
import { commands } from "./specs.ts"
import { version } from "./version.ts"

const overview = (): string =>
  [
    "swarm: run large language models on many unreliable machines\n",
    "usage: swarm COMMAND [options]\n",
    ...commands.map(({ spec }) => `  ${spec.name.padEnd(12)}${spec.summary}`),
    "\n`swarm COMMAND --help` explains a command. `swarm demo` shows what it is about.",
    "REF is a GGUF file, a folder in Hugging Face layout, a Hub id, or `tiny`."
  ].join("\n")

/** What `argv` asks for. */
const main = (argv: ReadonlyArray<string>): Effect.Effect<void, unknown> =>
  Effect.gen(function* () {
    const [name, ...rest] = argv
    if (name === undefined || name === "--help" || name === "-h" || name === "help") return yield* print(overview())
    if (name === "--version" || name === "-v") return yield* print(version)
    const command = commands.find(({ spec }) => spec.name === name)
    if (command === undefined)
      return yield* Effect.fail(new UsageError(`there is no command "${name}": see swarm --help`))
    const parsed = yield* parsing(() => parse(command.spec, rest))
    if (parsed.help) return yield* print(helpOf(command.spec))
    yield* Effect.flatten(Effect.promise(() => command.run(parsed)))
  })

/** What `parse` throws is a `UsageError`; anything else is a defect. */
const parsing = <A>(run: () => A): Effect.Effect<A, UsageError> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(run())
    } catch (cause) {
      return cause instanceof UsageError ? Effect.fail(cause) : Effect.die(cause)
    }
  })

const print = (text: string) => Effect.sync(() => process.stdout.write(`${text}\n`))

/** Also where the message quotes what was read, line breaks and all. */
const sentence = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).replaceAll(/\s*\n\s*/g, " ")

/** One clear sentence for what was to be expected; the whole cause for a defect. */
const report = (cause: Cause.Cause<unknown>) =>
  Effect.sync(() => {
    if (Cause.isInterruptedOnly(cause)) return
    const failure = Cause.failureOption(cause)
    // in the place of a line of progress
    if (process.stderr.isTTY === true) process.stderr.write("\r\u001b[K")
    if (failure._tag === "Some") process.stderr.write(`swarm: ${sentence(failure.value)}\n`)
    if (failure._tag === "None" || process.env.SWARM_DEBUG !== undefined)
      process.stderr.write(`${Cause.pretty(cause)}\n`)
  })

/** 2 for wrong usage, 1 for failure, 130 after an interruption that a command did not handle itself. */
const exitCode = <A, E>(exit: Exit.Exit<A, E>): number => {
  if (Exit.isSuccess(exit)) return 0
  if (Cause.isInterruptedOnly(exit.cause)) return 130
  const failure = Cause.failureOption(exit.cause)
  return failure._tag === "Some" && failure.value instanceof UsageError ? 2 : 1
}

runMain(keepInterruption(Effect.tapErrorCause(main(process.argv.slice(2)), report)), {
  disableErrorReporting: true,
  disablePrettyLogger: true,
  teardown: (exit, onExit) => onExit(exitCode(exit))
})
