import { defineConfig } from "tsup"
import { shared } from "../../tsup.shared.ts"

export default defineConfig({
  ...shared,
  entry: { index: "src/index.ts", compliance: "src/compliance.ts", bindingWorker: "src/internal/bindingWorker.ts" }
})
