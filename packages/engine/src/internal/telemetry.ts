/**
 * The runtime's telemetry, off unless asked for.
 *
 * Left alone, ONNX Runtime 1.30 sends events to its makers from Linux too, keeps them in a database in the user's cache
 * folder, leaves a file in the temporary folder for each process, and overflows the stack over a command line of 30 KB.
 * @module
 */

const VARIABLE = "ORT_DISABLE_TELEMETRY"

/**
 * To be called before the library makes its environment, which reads the variable. A value that the user has set stays.
 *
 * @param setenv The C library's, where it can be called: in a worker thread `process.env` is only a copy.
 */
export const disableTelemetry = (setenv?: (name: string, value: string, overwrite: number) => void): void => {
  process.env[VARIABLE] ??= "1"
  setenv?.(VARIABLE, process.env[VARIABLE], 0)
}
