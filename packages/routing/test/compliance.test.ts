import * as Routing from "@swarm/routing"
import * as compliance from "@swarm/routing/compliance"
import { Effect } from "effect"

compliance.router({
  name: "the standard router",
  make: (known) => Routing.make({ known: Effect.succeed(known) })
})
