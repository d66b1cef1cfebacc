/** A region of a simulated swarm is lost: what the sessions of its clients notice. */
import { type Scenario, simulate } from "@swarm/simulator"

const scenario: Scenario = {
  name: "two regions",
  model: { blocks: 32, tokenBytes: 8192 },
  servers: ["eu", "us"].flatMap((region) =>
    [0, 8, 16, 24].map((from) => ({ region, blocks: [from, from + 8], decodeRate: 3000, prefillRate: 60_000 }))
  ),
  network: { within: { rttMs: 10 }, between: { rttMs: 90 } },
  load: [{ count: 100, region: "eu", during: [0, 600], promptTokens: 128, newTokens: 256 }]
}

const calm = simulate(scenario)
const struck = simulate({ ...scenario, failures: { blows: [{ at: 300, region: "eu", awaySeconds: 3600 }] } })
for (const { sessions, recoveries, tokensPerSecond } of [calm, struck]) {
  console.log(`${sessions.finished} of ${sessions.started} finished, ${recoveries > 0 ? "some" : "no"} repairs`)
  console.log(tokensPerSecond.mean > 15 ? "fast" : "slower: the others are far away")
}

// prints:
// 100 of 100 finished, no repairs
// fast
// 100 of 100 finished, some repairs
// slower: the others are far away
