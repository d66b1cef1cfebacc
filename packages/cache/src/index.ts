/**
 * Server KV budget and client journal.
 * @module
 */
export * from "./Journal.ts"
export * from "./JournalError.ts"
export * from "./JournalStore.ts"
export * from "./KvBudget.ts"
export * from "./makeMemoryJournal.ts"
