import { emulated, layerMemory, layerWebSocket, makeLink } from "@swarm/transport"
import * as compliance from "@swarm/transport/compliance"

const link = () => makeLink({ latency: "2 millis", jitter: "1 millis", bandwidth: 200e6, seed: 1 })
const memory = { address: "memory:", dead: "memory:nobody" }
const webSocket = { address: "ws://127.0.0.1:0", dead: "ws://127.0.0.1:1" }

compliance.transport({ name: "memory", layer: layerMemory, ...memory })
compliance.transport({ name: "websocket", layer: layerWebSocket(), ...webSocket })
compliance.transport({ name: "emulated memory", layer: layerMemory.pipe(emulated(link())), ...memory })
compliance.transport({ name: "emulated websocket", layer: layerWebSocket().pipe(emulated(link())), ...webSocket })
