/** The repair algorithm on paper: who forgets what, who is fed from the journals, who sends from where. */
import { planRepair } from "@swarm/client"

// three hops; the middle one was replaced by a server that has computed nothing yet. The client has journalled 90
// inputs of the first hop and 88 of the others, and has received 87 outputs.
const plan = planRepair(
  [
    { computed: 88, journaled: 90 },
    { computed: 0, journaled: 88 },
    { computed: 87, journaled: 87 }
  ],
  87
)
for (const [hop, { keep, feedTo, sendFrom }] of plan.entries()) {
  console.log(`hop ${hop}: keeps ${keep}, is fed ${Math.max(0, feedTo - keep)} rows, sends on from ${sendFrom}`)
}
// prints: hop 0: keeps 88, is fed 2 rows, sends on from 88
// hop 1: keeps 0, is fed 88 rows, sends on from 87
// hop 2: keeps 87, is fed 0 rows, sends on from 87
